# Written by `python tests/write_tables.py`; do not edit.

from keras_residual.models.densenet import DenseNet as DenseNet
from keras_residual.models.gnmt import GNMT as GNMT
from keras_residual.models.residual_rnn import ResidualLSTMClassifier as ResidualLSTMClassifier
from keras_residual.models.residual_rnn import ResidualLSTMTagger as ResidualLSTMTagger
from keras_residual.models.residual_rnn import ResidualLSTMSegmentClassifier as ResidualLSTMSegmentClassifier
from keras_residual.models.resnet import ResNet as ResNet
from keras_residual.models.registry import Factory as Factory
from keras_residual.models.registry import UpscalerFactory as UpscalerFactory
from keras_residual.models.registry import get_model as get_model
from keras_residual.models.registry import list_models as list_models
DenseNet121: Factory
DenseNet161: Factory
DenseNet169: Factory
DenseNet201: Factory
DenseNetBC100_12: Factory
DenseNetBC190_40: Factory
EDSR: UpscalerFactory
EDSRLarge: UpscalerFactory
ResNeXt101_32x8d: Factory
ResNeXt101_64x4d: Factory
ResNeXt29_16x64d: Factory
ResNeXt29_8x64d: Factory
ResNeXt50_32x4d: Factory
ResNet1001V2: Factory
ResNet101: Factory
ResNet101D: Factory
ResNet101V1: Factory
ResNet101V2: Factory
ResNet110: Factory
ResNet110V2: Factory
ResNet1202: Factory
ResNet152: Factory
ResNet152D: Factory
ResNet152V1: Factory
ResNet152V2: Factory
ResNet164V2: Factory
ResNet18: Factory
ResNet18D: Factory
ResNet18V2: Factory
ResNet1D: Factory
ResNet20: Factory
ResNet200V2: Factory
ResNet32: Factory
ResNet34: Factory
ResNet34D: Factory
ResNet34V2: Factory
ResNet44: Factory
ResNet50: Factory
ResNet50D: Factory
ResNet50V1: Factory
ResNet50V2: Factory
ResNet56: Factory
ResNet8: Factory
SEResNeXt50_32x4d: Factory
SEResNet101: Factory
SEResNet18: Factory
SEResNet50: Factory
SRResNet: UpscalerFactory
VDSR: UpscalerFactory
WideResNet101_2: Factory
WideResNet16_8: Factory
WideResNet28_10: Factory
WideResNet40_4: Factory
WideResNet50_2: Factory

__all__ = ['DenseNet', 'DenseNet121', 'DenseNet161', 'DenseNet169', 'DenseNet201', 'DenseNetBC100_12', 'DenseNetBC190_40', 'EDSR', 'EDSRLarge', 'GNMT', 'ResNeXt101_32x8d', 'ResNeXt101_64x4d', 'ResNeXt29_16x64d', 'ResNeXt29_8x64d', 'ResNeXt50_32x4d', 'ResNet', 'ResNet1001V2', 'ResNet101', 'ResNet101D', 'ResNet101V1', 'ResNet101V2', 'ResNet110', 'ResNet110V2', 'ResNet1202', 'ResNet152', 'ResNet152D', 'ResNet152V1', 'ResNet152V2', 'ResNet164V2', 'ResNet18', 'ResNet18D', 'ResNet18V2', 'ResNet1D', 'ResNet20', 'ResNet200V2', 'ResNet32', 'ResNet34', 'ResNet34D', 'ResNet34V2', 'ResNet44', 'ResNet50', 'ResNet50D', 'ResNet50V1', 'ResNet50V2', 'ResNet56', 'ResNet8', 'ResidualLSTMClassifier', 'ResidualLSTMSegmentClassifier', 'ResidualLSTMTagger', 'SEResNeXt50_32x4d', 'SEResNet101', 'SEResNet18', 'SEResNet50', 'SRResNet', 'VDSR', 'WideResNet101_2', 'WideResNet16_8', 'WideResNet28_10', 'WideResNet40_4', 'WideResNet50_2', 'get_model', 'list_models']
