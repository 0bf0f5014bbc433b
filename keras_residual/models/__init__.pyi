# Written by `python tests/write_tables.py`; do not edit.

import collections.abc
import typing

import keras

def DenseNet(depths: collections.abc.Sequence[int] = (6, 12, 24, 16), growth_rate: int = 32, include_top: bool = True, weights: object = None, input_tensor: typing.Any | None = None, input_shape: tuple[int | None, ...] | None = None, pooling: str | None = None, classes: int = 1000, classifier_activation: str | dict[str, typing.Any] | collections.abc.Callable[..., typing.Any] | None = 'softmax', name: str = 'densenet', **architecture_options: typing.Any) -> keras.Model: ...
def DPN(depths: collections.abc.Sequence[int] = (3, 4, 20, 3), growth_rates: collections.abc.Sequence[int] = (16, 32, 24, 128), widths: collections.abc.Sequence[int] | None = None, include_top: bool = True, weights: object = None, input_tensor: typing.Any | None = None, input_shape: tuple[int | None, ...] | None = None, pooling: str | None = None, classes: int = 1000, classifier_activation: str | dict[str, typing.Any] | collections.abc.Callable[..., typing.Any] | None = 'softmax', name: str = 'dpn', **architecture_options: typing.Any) -> keras.Model: ...
def FractalNet(widths: collections.abc.Sequence[int] = (64, 128, 256, 512, 512), columns: int = 3, include_top: bool = True, weights: object = None, input_tensor: typing.Any | None = None, input_shape: tuple[int | None, ...] | None = None, pooling: str | None = None, classes: int = 10, classifier_activation: str | dict[str, typing.Any] | collections.abc.Callable[..., typing.Any] | None = 'softmax', name: str = 'fractalnet', **architecture_options: typing.Any) -> keras.Model: ...
from keras_residual.models.gnmt import GNMT as GNMT
def HighwayNet(widths: collections.abc.Sequence[int] = (32, 80, 128), depths: collections.abc.Sequence[int] = (5, 6, 6), include_top: bool = True, weights: object = None, input_tensor: typing.Any | None = None, input_shape: tuple[int | None, ...] | None = None, pooling: str | None = None, classes: int = 10, classifier_activation: str | dict[str, typing.Any] | collections.abc.Callable[..., typing.Any] | None = 'softmax', name: str = 'highwaynet', **architecture_options: typing.Any) -> keras.Model: ...
def KeywordResNet(include_top: bool = True, weights: object = None, input_tensor: typing.Any | None = None, input_shape: tuple[int | None, ...] | None = None, pooling: str | None = None, classes: int = 12, classifier_activation: str | dict[str, typing.Any] | collections.abc.Callable[..., typing.Any] | None = 'softmax', name: str = 'keywordresnet', **architecture_options: typing.Any) -> keras.Model: ...
def BCResNet(include_top: bool = True, weights: object = None, input_tensor: typing.Any | None = None, input_shape: tuple[int | None, ...] | None = None, pooling: str | None = None, classes: int = 12, classifier_activation: str | dict[str, typing.Any] | collections.abc.Callable[..., typing.Any] | None = 'softmax', name: str = 'bcresnet', **architecture_options: typing.Any) -> keras.Model: ...
def ResidualLSTMClassifier(input_shape: tuple[int | None, ...] | None = None, vocabulary_size: int | None = None, classes: int = 2, units: int = 128, num_layers: int = 4, pooling: str | None = 'last', classifier_activation: str | dict[str, typing.Any] | collections.abc.Callable[..., typing.Any] | None = 'softmax', weights: object = None, name: str = 'residuallstmclassifier', **options: typing.Any) -> keras.Model: ...
def ResidualLSTMTagger(input_shape: tuple[int | None, ...] | None = None, vocabulary_size: int | None = None, classes: int = 2, units: int = 128, num_layers: int = 4, classifier_activation: str | dict[str, typing.Any] | collections.abc.Callable[..., typing.Any] | None = 'softmax', weights: object = None, name: str = 'residuallstmtagger', **options: typing.Any) -> keras.Model: ...
def ResidualLSTMSegmentClassifier(input_shape: tuple[int | None, ...] | None = None, vocabulary_size: int | None = None, classes: int = 2, units: int = 128, num_layers: int = 4, classifier_activation: str | dict[str, typing.Any] | collections.abc.Callable[..., typing.Any] | None = 'softmax', weights: object = None, name: str = 'residuallstmsegmentclassifier', **options: typing.Any) -> keras.Model: ...
def ResNet(block: str = 'bottleneck', depths: collections.abc.Sequence[int] = (3, 4, 6, 3), widths: collections.abc.Sequence[int] | None = None, include_top: bool = True, weights: object = None, input_tensor: typing.Any | None = None, input_shape: tuple[int | None, ...] | None = None, pooling: str | None = None, classes: int = 1000, classifier_activation: str | dict[str, typing.Any] | collections.abc.Callable[..., typing.Any] | None = 'softmax', name: str = 'resnet', **architecture_options: typing.Any) -> keras.Model: ...
from keras_residual.models.transcriber import ResidualLSTMTranscriber as ResidualLSTMTranscriber
def VideoResNet(convolutions: str = 'factorized', depths: collections.abc.Sequence[int] = (2, 2, 2, 2), widths: collections.abc.Sequence[int] | None = None, include_top: bool = True, weights: object = None, input_tensor: typing.Any | None = None, input_shape: tuple[int | None, ...] | None = None, pooling: str | None = None, classes: int = 400, classifier_activation: str | dict[str, typing.Any] | collections.abc.Callable[..., typing.Any] | None = 'softmax', name: str = 'videoresnet', **architecture_options: typing.Any) -> keras.Model: ...
from keras_residual.models.factories import Factory as Factory
from keras_residual.models.super_resolution import UpscalerFactory as UpscalerFactory
from keras_residual.models.registry import get_model as get_model
from keras_residual.models.registry import list_models as list_models
from keras_residual.models.flat import flat_view as flat_view
from keras_residual.models.for_dataset import model_for as model_for
from keras_residual.models.pretrained import pretrained_classifier as pretrained_classifier
BCResNet1: Factory
BCResNet1_5: Factory
BCResNet2: Factory
BCResNet3: Factory
BCResNet6: Factory
BCResNet8: Factory
BiTResNet101x1: Factory
BiTResNet101x3: Factory
BiTResNet152x2: Factory
BiTResNet152x4: Factory
BiTResNet50x1: Factory
BiTResNet50x3: Factory
DPN107: Factory
DPN131: Factory
DPN68: Factory
DPN68b: Factory
DPN92: Factory
DPN98: Factory
DenseNet121: Factory
DenseNet161: Factory
DenseNet169: Factory
DenseNet201: Factory
DenseNetBC100_12: Factory
DenseNetBC190_40: Factory
DenseNetBlur121D: Factory
ECAResNeXt26T_32x4d: Factory
ECAResNeXt50T_32x4d: Factory
ECAResNet101D: Factory
ECAResNet200D: Factory
ECAResNet269D: Factory
ECAResNet26T: Factory
ECAResNet50D: Factory
ECAResNet50T: Factory
ECAResNetLight: Factory
EDSR: UpscalerFactory
EDSRLarge: UpscalerFactory
FractalNet20: Factory
FractalNet40: Factory
HighwayNet19: Factory
MC3_18: Factory
PreRoR3_164: Factory
PyramidNet110_270: Factory
PyramidNet110_48: Factory
PyramidNet110_84: Factory
PyramidNet164_270: Factory
PyramidNet200_240: Factory
PyramidNet272_200: Factory
R2Plus1D18: Factory
R3D18: Factory
RegNetV040: Factory
RegNetV064: Factory
RegNetX002: Factory
RegNetX004: Factory
RegNetX004_TV: Factory
RegNetX006: Factory
RegNetX008: Factory
RegNetX016: Factory
RegNetX032: Factory
RegNetX040: Factory
RegNetX064: Factory
RegNetX080: Factory
RegNetX120: Factory
RegNetX160: Factory
RegNetX320: Factory
RegNetY002: Factory
RegNetY004: Factory
RegNetY006: Factory
RegNetY008: Factory
RegNetY008_TV: Factory
RegNetY016: Factory
RegNetY032: Factory
RegNetY040: Factory
RegNetY064: Factory
RegNetY080: Factory
RegNetY080_TV: Factory
RegNetY120: Factory
RegNetY1280: Factory
RegNetY160: Factory
RegNetY2560: Factory
RegNetY320: Factory
RegNetY640: Factory
RegNetZ005: Factory
RegNetZ040: Factory
RegNetZ040H: Factory
Res15: Factory
Res15Narrow: Factory
Res26: Factory
Res26Narrow: Factory
Res2NeXt50: Factory
Res2Net101D: Factory
Res2Net101_26w_4s: Factory
Res2Net50D: Factory
Res2Net50_14w_8s: Factory
Res2Net50_26w_4s: Factory
Res2Net50_26w_6s: Factory
Res2Net50_26w_8s: Factory
Res2Net50_48w_2s: Factory
Res8: Factory
Res8Narrow: Factory
ResNeSt101E: Factory
ResNeSt14D: Factory
ResNeSt200E: Factory
ResNeSt269E: Factory
ResNeSt26D: Factory
ResNeSt50D: Factory
ResNeSt50D_1s4x24d: Factory
ResNeSt50D_4s2x40d: Factory
ResNeXt101_32x16d: Factory
ResNeXt101_32x32d: Factory
ResNeXt101_32x4d: Factory
ResNeXt101_32x8d: Factory
ResNeXt101_64x4d: Factory
ResNeXt29_16x64d: Factory
ResNeXt29_8x64d: Factory
ResNeXt50D_32x4d: Factory
ResNeXt50_32x4d: Factory
ResNet1001V2: Factory
ResNet101: Factory
ResNet101C: Factory
ResNet101D: Factory
ResNet101S: Factory
ResNet101V1: Factory
ResNet101V2: Factory
ResNet101V2D: Factory
ResNet10T: Factory
ResNet110: Factory
ResNet110V2: Factory
ResNet1202: Factory
ResNet14T: Factory
ResNet152: Factory
ResNet152C: Factory
ResNet152D: Factory
ResNet152S: Factory
ResNet152V1: Factory
ResNet152V2: Factory
ResNet152V2D: Factory
ResNet164V2: Factory
ResNet18: Factory
ResNet18D: Factory
ResNet18V2: Factory
ResNet18V2D: Factory
ResNet1D: Factory
ResNet20: Factory
ResNet200: Factory
ResNet200D: Factory
ResNet200V2: Factory
ResNet26: Factory
ResNet26D: Factory
ResNet26T: Factory
ResNet32: Factory
ResNet34: Factory
ResNet34D: Factory
ResNet34V2: Factory
ResNet34V2D: Factory
ResNet44: Factory
ResNet50: Factory
ResNet50C: Factory
ResNet50D: Factory
ResNet50GN: Factory
ResNet50S: Factory
ResNet50T: Factory
ResNet50V1: Factory
ResNet50V2: Factory
ResNet50V2D: Factory
ResNet50V2DEvoS: Factory
ResNet50V2DGN: Factory
ResNet50V2T: Factory
ResNet56: Factory
ResNet8: Factory
ResNetAA101D: Factory
ResNetAA34D: Factory
ResNetAA50: Factory
ResNetAA50D: Factory
ResNetBlur101D: Factory
ResNetBlur18: Factory
ResNetBlur50: Factory
ResNetBlur50D: Factory
ResNetRS101: Factory
ResNetRS152: Factory
ResNetRS200: Factory
ResNetRS270: Factory
ResNetRS350: Factory
ResNetRS420: Factory
ResNetRS50: Factory
RevNet104: Factory
RevNet110: Factory
RevNet164: Factory
RevNet38: Factory
RevNet56: Factory
RoR3WideResNet58_4: Factory
RoR3_110: Factory
RoR3_164: Factory
SENet154: Factory
SEResNeXt101D_32x8d: Factory
SEResNeXt101_32x4d: Factory
SEResNeXt101_32x8d: Factory
SEResNeXt101_64x4d: Factory
SEResNeXt26D_32x4d: Factory
SEResNeXt26T_32x4d: Factory
SEResNeXt50_32x4d: Factory
SEResNeXtAA101D_32x8d: Factory
SEResNeXtAA201D_32x8d: Factory
SEResNet101: Factory
SEResNet152: Factory
SEResNet152D: Factory
SEResNet18: Factory
SEResNet200D: Factory
SEResNet269D: Factory
SEResNet50: Factory
SEResNet50T: Factory
SEResNetAA50D: Factory
SKResNeXt50_32x4d: Factory
SKResNet18: Factory
SKResNet34: Factory
SKResNet50: Factory
SKResNet50D: Factory
SRResNet: UpscalerFactory
ShakeShake26_2x32d: Factory
ShakeShake26_2x64d: Factory
ShakeShake26_2x96d: Factory
VDSR: UpscalerFactory
WideResNet101_2: Factory
WideResNet16_8: Factory
WideResNet28_10: Factory
WideResNet40_4: Factory
WideResNet50_2: Factory
WideRiR18: Factory

__all__ = ['BCResNet', 'BCResNet1', 'BCResNet1_5', 'BCResNet2', 'BCResNet3', 'BCResNet6', 'BCResNet8', 'BiTResNet101x1', 'BiTResNet101x3', 'BiTResNet152x2', 'BiTResNet152x4', 'BiTResNet50x1', 'BiTResNet50x3', 'DPN', 'DPN107', 'DPN131', 'DPN68', 'DPN68b', 'DPN92', 'DPN98', 'DenseNet', 'DenseNet121', 'DenseNet161', 'DenseNet169', 'DenseNet201', 'DenseNetBC100_12', 'DenseNetBC190_40', 'DenseNetBlur121D', 'ECAResNeXt26T_32x4d', 'ECAResNeXt50T_32x4d', 'ECAResNet101D', 'ECAResNet200D', 'ECAResNet269D', 'ECAResNet26T', 'ECAResNet50D', 'ECAResNet50T', 'ECAResNetLight', 'EDSR', 'EDSRLarge', 'FractalNet', 'FractalNet20', 'FractalNet40', 'GNMT', 'HighwayNet', 'HighwayNet19', 'KeywordResNet', 'MC3_18', 'PreRoR3_164', 'PyramidNet110_270', 'PyramidNet110_48', 'PyramidNet110_84', 'PyramidNet164_270', 'PyramidNet200_240', 'PyramidNet272_200', 'R2Plus1D18', 'R3D18', 'RegNetV040', 'RegNetV064', 'RegNetX002', 'RegNetX004', 'RegNetX004_TV', 'RegNetX006', 'RegNetX008', 'RegNetX016', 'RegNetX032', 'RegNetX040', 'RegNetX064', 'RegNetX080', 'RegNetX120', 'RegNetX160', 'RegNetX320', 'RegNetY002', 'RegNetY004', 'RegNetY006', 'RegNetY008', 'RegNetY008_TV', 'RegNetY016', 'RegNetY032', 'RegNetY040', 'RegNetY064', 'RegNetY080', 'RegNetY080_TV', 'RegNetY120', 'RegNetY1280', 'RegNetY160', 'RegNetY2560', 'RegNetY320', 'RegNetY640', 'RegNetZ005', 'RegNetZ040', 'RegNetZ040H', 'Res15', 'Res15Narrow', 'Res26', 'Res26Narrow', 'Res2NeXt50', 'Res2Net101D', 'Res2Net101_26w_4s', 'Res2Net50D', 'Res2Net50_14w_8s', 'Res2Net50_26w_4s', 'Res2Net50_26w_6s', 'Res2Net50_26w_8s', 'Res2Net50_48w_2s', 'Res8', 'Res8Narrow', 'ResNeSt101E', 'ResNeSt14D', 'ResNeSt200E', 'ResNeSt269E', 'ResNeSt26D', 'ResNeSt50D', 'ResNeSt50D_1s4x24d', 'ResNeSt50D_4s2x40d', 'ResNeXt101_32x16d', 'ResNeXt101_32x32d', 'ResNeXt101_32x4d', 'ResNeXt101_32x8d', 'ResNeXt101_64x4d', 'ResNeXt29_16x64d', 'ResNeXt29_8x64d', 'ResNeXt50D_32x4d', 'ResNeXt50_32x4d', 'ResNet', 'ResNet1001V2', 'ResNet101', 'ResNet101C', 'ResNet101D', 'ResNet101S', 'ResNet101V1', 'ResNet101V2', 'ResNet101V2D', 'ResNet10T', 'ResNet110', 'ResNet110V2', 'ResNet1202', 'ResNet14T', 'ResNet152', 'ResNet152C', 'ResNet152D', 'ResNet152S', 'ResNet152V1', 'ResNet152V2', 'ResNet152V2D', 'ResNet164V2', 'ResNet18', 'ResNet18D', 'ResNet18V2', 'ResNet18V2D', 'ResNet1D', 'ResNet20', 'ResNet200', 'ResNet200D', 'ResNet200V2', 'ResNet26', 'ResNet26D', 'ResNet26T', 'ResNet32', 'ResNet34', 'ResNet34D', 'ResNet34V2', 'ResNet34V2D', 'ResNet44', 'ResNet50', 'ResNet50C', 'ResNet50D', 'ResNet50GN', 'ResNet50S', 'ResNet50T', 'ResNet50V1', 'ResNet50V2', 'ResNet50V2D', 'ResNet50V2DEvoS', 'ResNet50V2DGN', 'ResNet50V2T', 'ResNet56', 'ResNet8', 'ResNetAA101D', 'ResNetAA34D', 'ResNetAA50', 'ResNetAA50D', 'ResNetBlur101D', 'ResNetBlur18', 'ResNetBlur50', 'ResNetBlur50D', 'ResNetRS101', 'ResNetRS152', 'ResNetRS200', 'ResNetRS270', 'ResNetRS350', 'ResNetRS420', 'ResNetRS50', 'ResidualLSTMClassifier', 'ResidualLSTMSegmentClassifier', 'ResidualLSTMTagger', 'ResidualLSTMTranscriber', 'RevNet104', 'RevNet110', 'RevNet164', 'RevNet38', 'RevNet56', 'RoR3WideResNet58_4', 'RoR3_110', 'RoR3_164', 'SENet154', 'SEResNeXt101D_32x8d', 'SEResNeXt101_32x4d', 'SEResNeXt101_32x8d', 'SEResNeXt101_64x4d', 'SEResNeXt26D_32x4d', 'SEResNeXt26T_32x4d', 'SEResNeXt50_32x4d', 'SEResNeXtAA101D_32x8d', 'SEResNeXtAA201D_32x8d', 'SEResNet101', 'SEResNet152', 'SEResNet152D', 'SEResNet18', 'SEResNet200D', 'SEResNet269D', 'SEResNet50', 'SEResNet50T', 'SEResNetAA50D', 'SKResNeXt50_32x4d', 'SKResNet18', 'SKResNet34', 'SKResNet50', 'SKResNet50D', 'SRResNet', 'ShakeShake26_2x32d', 'ShakeShake26_2x64d', 'ShakeShake26_2x96d', 'VDSR', 'VideoResNet', 'WideResNet101_2', 'WideResNet16_8', 'WideResNet28_10', 'WideResNet40_4', 'WideResNet50_2', 'WideRiR18', 'flat_view', 'get_model', 'list_models', 'model_for', 'pretrained_classifier']
