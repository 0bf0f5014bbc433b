"""Families of residual networks: tables of variants over one builder each.

Every builder and every row of a table is an attribute of this package. `__init__.pyi` beside this
file lists them for type checkers and editors; `python tests/write_tables.py` writes it.
"""

from keras_residual.models import (  # noqa: F401
    branched,
    densenet,
    dual_path,
    fractal,
    gnmt,
    highway,
    keyword_networks,
    pyramidnet,
    regnet,
    residual_rnn,
    resnet,
    resnet_1d,
    resnet_attention,
    resnet_cifar,
    resnet_v2,
    resnet_variants,
    reversible,
    super_resolution,
    transcriber,
    video,
)
from keras_residual.models.flat import flat_view as flat_view
from keras_residual.models.for_dataset import model_for as model_for
from keras_residual.models.pretrained import pretrained_classifier as pretrained_classifier
from keras_residual.models.registry import BUILDERS, FACTORIES
from keras_residual.models.registry import get_model as get_model
from keras_residual.models.registry import list_models as list_models

globals().update(BUILDERS | FACTORIES)

__all__ = sorted(
    [
        *BUILDERS,
        *FACTORIES,
        "flat_view",
        "get_model",
        "list_models",
        "model_for",
        "pretrained_classifier",
    ]
)
