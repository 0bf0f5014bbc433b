"""The building blocks of residual networks."""

from keras_residual.layers.batch_norm import BatchNorm
from keras_residual.layers.blur_pool import BlurPool
from keras_residual.layers.bottleneck_block import BottleneckBlock
from keras_residual.layers.broadcasted_residual_block import BroadcastedResidualBlock
from keras_residual.layers.channel_attention import EfficientChannelAttention
from keras_residual.layers.conv_norm import ConvNorm
from keras_residual.layers.convolution import Convolution
from keras_residual.layers.dense_block import DenseBlock
from keras_residual.layers.dense_transition import DenseTransition
from keras_residual.layers.dense_unit import DenseUnit
from keras_residual.layers.dual_path_block import DualPathBlock
from keras_residual.layers.dual_path_unit import DualPathUnit
from keras_residual.layers.factorized_block import FactorizedBlock
from keras_residual.layers.fractal_block import FractalBlock
from keras_residual.layers.highway import Highway
from keras_residual.layers.highway_block import HighwayBlock
from keras_residual.layers.highway_stage import HighwayStage
from keras_residual.layers.image_normalization import ImageNormalization
from keras_residual.layers.keyword_block import KeywordBlock
from keras_residual.layers.log_mel_spectrogram import LogMelSpectrogram
from keras_residual.layers.lstm.highway_lstm import HighwayLSTM
from keras_residual.layers.lstm.recurrent_highway import RecurrentHighway
from keras_residual.layers.lstm.residual_gru import ResidualGRU
from keras_residual.layers.lstm.residual_lstm import ResidualLSTM
from keras_residual.layers.multi_scale_convolution import MultiScaleConvolution
from keras_residual.layers.norm_activation import NormActivation
from keras_residual.layers.pixel_shuffle import ICNR, PixelShuffle
from keras_residual.layers.residual_block import ResidualBlock
from keras_residual.layers.residual_stage import ResidualStage
from keras_residual.layers.selective_kernel import SelectiveKernel
from keras_residual.layers.shortcut import Shortcut
from keras_residual.layers.split_attention import SplitAttention
from keras_residual.layers.squeeze_excite import SqueezeExcite
from keras_residual.layers.stem import Stem
from keras_residual.layers.stochastic_depth import ShakeDrop, ShakeShake, StochasticDepth
from keras_residual.layers.sub_spectral_normalization import SubSpectralNormalization

__all__ = [
    "ICNR",
    "BatchNorm",
    "BlurPool",
    "BottleneckBlock",
    "BroadcastedResidualBlock",
    "ConvNorm",
    "Convolution",
    "DenseBlock",
    "DenseTransition",
    "DenseUnit",
    "DualPathBlock",
    "DualPathUnit",
    "EfficientChannelAttention",
    "FactorizedBlock",
    "FractalBlock",
    "Highway",
    "HighwayBlock",
    "HighwayLSTM",
    "HighwayStage",
    "ImageNormalization",
    "KeywordBlock",
    "LogMelSpectrogram",
    "MultiScaleConvolution",
    "NormActivation",
    "PixelShuffle",
    "RecurrentHighway",
    "ResidualBlock",
    "ResidualGRU",
    "ResidualLSTM",
    "ResidualStage",
    "SelectiveKernel",
    "ShakeDrop",
    "ShakeShake",
    "Shortcut",
    "SplitAttention",
    "SqueezeExcite",
    "Stem",
    "StochasticDepth",
    "SubSpectralNormalization",
]
