"""Searches for the best network within a budget, over Keras Tuner."""

try:
    import keras_tuner  # noqa: F401
except ImportError as error:
    raise ImportError(
        '`keras_residual.tuning` needs: pip install "keras-residual[tune]"'
    ) from error

from keras_residual.tuning.distributed import Cluster, read_secret
from keras_residual.tuning.errors import EmptySpaceError, SearchError
from keras_residual.tuning.hyper_densenet import HyperDenseNet
from keras_residual.tuning.hyper_regnet import HyperRegNet
from keras_residual.tuning.hyper_residual_lstm import HyperResidualLSTM
from keras_residual.tuning.hyper_resnet import HyperResNet
from keras_residual.tuning.hyper_resnet_1d import HyperResNet1D
from keras_residual.tuning.knobs import Interval
from keras_residual.tuning.listener import Listener
from keras_residual.tuning.result import SearchResult, TrialRow
from keras_residual.tuning.search import search
from keras_residual.tuning.tuners import (
    BayesianOptimization,
    Evolution,
    GridSearch,
    Hyperband,
    RandomSearch,
)

__all__ = [
    "BayesianOptimization",
    "Cluster",
    "EmptySpaceError",
    "Evolution",
    "GridSearch",
    "HyperDenseNet",
    "HyperRegNet",
    "HyperResNet",
    "HyperResNet1D",
    "HyperResidualLSTM",
    "Hyperband",
    "Interval",
    "Listener",
    "RandomSearch",
    "SearchError",
    "SearchResult",
    "TrialRow",
    "read_secret",
    "search",
]
