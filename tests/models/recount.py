"""Parameters and multiply–accumulates from the papers' tables, in plain arithmetic.

Nothing here reads the package: a network is a walk over its table, and a `Tally` adds up.
"""

from models.tally import Rectangle, Tally, strided


def imagenet_stem(tally, deep=False, preactivated=False):
    if deep:
        tally.conv_norm(3, 32, 3, stride=2)
        tally.conv_norm(32, 32, 3)
        tally.conv_norm(32, 64, 3)
    elif preactivated:
        tally.conv(3, 64, 7, stride=2)
    else:
        tally.conv_norm(3, 64, 7, stride=2)
    tally.size = strided(tally.size, 2)


def residual_network(
    tally,
    depths,
    widths,
    classes,
    *,
    inputs,
    bottleneck=False,
    inner=None,
    groups=1,
    stride_on_first=False,
    preactivated=False,
    free_shortcut=False,
    se=False,
    levels=1,
):
    """Walks stages of blocks and the classifier; `inner` gives a bottleneck's 3×3 width."""
    first = inputs
    around_all = tally.aside()
    for stage, (depth, width) in enumerate(zip(depths, widths, strict=True)):
        outputs = 4 * width if bottleneck else width
        middle = inner(width) if inner else width
        around_stage = tally.aside()
        if levels == 3 and (stage > 0 or inputs != outputs):
            around_stage.conv(inputs, outputs, 1, 2 if stage > 0 else 1)
            if not preactivated:
                around_stage.norm(outputs)
        tally.join(around_stage)
        for block in range(depth):
            stride = 2 if stage > 0 and block == 0 else 1
            if preactivated:
                tally.norm(inputs)
            shortcut = tally.aside()
            if not free_shortcut and (stride > 1 or inputs != outputs):
                shortcut.conv(inputs, outputs, 1, stride)
                if not preactivated:
                    shortcut.norm(outputs)
            if bottleneck:
                first, second = (stride, 1) if stride_on_first else (1, stride)
                tally.conv_norm(inputs, middle, 1, first)
                tally.conv_norm(middle, middle, 3, second, groups)
                tally.conv(middle, outputs, 1)
            else:
                tally.conv_norm(inputs, width, 3, stride)
                tally.conv(width, width, 3)
            if not preactivated:
                tally.norm(outputs)
            if se:
                tally.squeeze_excite(outputs)
            tally.join(shortcut)
            inputs = outputs
    if levels > 1:
        around_all.conv(first, inputs, 1, 2 ** (len(depths) - 1))
        if not preactivated:
            around_all.norm(inputs)
        tally.join(around_all)
    if preactivated:
        tally.norm(inputs)
    tally.dense(inputs, classes)
    return tally.counts()


def imagenet(depths, *, deep=False, preactivated=False, **options):
    tally = Tally(224)
    imagenet_stem(tally, deep, preactivated)
    widths = (64, 128, 256, 512)
    return residual_network(
        tally, depths, widths, 1000, inputs=64, preactivated=preactivated, **options
    )


def small(depth, factor=1, *, first=16, preactivated=False, widths=(16, 32, 64), **options):
    """Three stages of `depth` blocks on 32×32 images."""
    tally = Tally(32)
    tally.conv(3, first, 3)
    if not preactivated:
        tally.norm(first)
    widths = [factor * width for width in widths]
    return residual_network(
        tally, (depth,) * 3, widths, 10, inputs=first, preactivated=preactivated, **options
    )


def pyramid(depth, growth, bottleneck=False):
    """Han et al. 2017: every block is wider; shortcuts are padded; units begin and end in norms."""
    blocks = (depth - 2) // (9 if bottleneck else 6)
    tally = Tally(32)
    tally.conv_norm(3, 16, 3)
    inputs, width = 16, 16.0
    for block in range(3 * blocks):
        width += growth / (3 * blocks)
        inner = round(width)
        outputs = 4 * inner if bottleneck else inner
        stride = 2 if block in (blocks, 2 * blocks) else 1
        tally.norm(inputs)
        if bottleneck:
            tally.conv_norm(inputs, inner, 1)
            tally.conv_norm(inner, inner, 3, stride)
            tally.conv_norm(inner, outputs, 1)
        else:
            tally.conv_norm(inputs, inner, 3, stride)
            tally.conv_norm(inner, outputs, 3)
        inputs = outputs
    tally.norm(inputs)
    tally.dense(inputs, 10)
    return tally.counts()


def two_streams(depths, width):
    """Targ et al. 2016: four convolutions from stream to stream, one of which has shortcuts.

    `width` channels a stream at first. pytorchcv's network ends in a normalization of 10 channels
    in place of the classifier's bias: 9,492,980 trainable weights, 10 more.
    """
    tally, inputs = Tally(32), width
    for _ in range(2):
        tally.conv_norm(3, width, 3)
    for stage, depth in enumerate(depths):
        outputs = width * 2**stage
        for block in range(depth):
            stride = 2 if stage and block == 0 else 1
            paths = [tally.aside() for _ in range(4)]
            if inputs != outputs:
                paths[0].conv(inputs, outputs, 1, stride)
            tally.conv(inputs, outputs, 3, stride)
            for path in paths[1:]:
                path.conv(inputs, outputs, 3, stride)
            for path in paths:
                tally.join(path)
            for _ in range(2):
                tally.norm(outputs)
            inputs = outputs
    tally.dense(2 * inputs, 10)
    return tally.counts()


def highway(stages):
    """Srivastava et al. 2015, the authors' network for CIFAR: H and T side by side, pooling."""
    tally, inputs = Tally(32), 3
    for index, (width, depth) in enumerate(stages):
        tally.size //= 2 if index else 1
        tally.conv_bias(inputs, width, 3)
        for _ in range(2 * (depth - 1)):
            tally.conv_bias(width, width, 3)
        inputs = width
    tally.conv_bias(inputs, 100, 1)
    tally.dense(100, 10)
    return tally.counts()


def reversible(size, depths, filters, classes, *, bottleneck=False):
    """Gomez et al. 2017 and the authors' code: `filters` of the stem and of both halves together.

    Two functions in each unit, each of half the channels; the first function of all begins with
    its convolution.
    """
    tally = Tally(size)
    tally.conv_norm(3, filters[0], 3 if size == 32 else 7, 1 if size == 32 else 2)
    tally.size = tally.size if size == 32 else strided(tally.size, 2)
    inputs = filters[0] // 2
    for stage, (depth, width) in enumerate(zip(depths, filters[1:], strict=True)):
        outputs = width * (4 if bottleneck else 1) // 2
        for block in range(depth):
            stride = 2 if stage and block == 0 else 1
            if bottleneck and (stride > 1 or inputs != outputs):
                for path in [tally.aside(), tally.aside()]:
                    path.conv(inputs, outputs, 1, stride)
                    tally.join(path)
            for function, (channels, step) in enumerate([(inputs, stride), (outputs, 1)]):
                if (stage, block, function) != (0, 0, 0):
                    tally.norm(channels)
                if bottleneck:
                    tally.conv_norm(channels, outputs // 4, 1, step)
                    tally.conv_norm(outputs // 4, outputs // 4, 3)
                    tally.conv(outputs // 4, outputs, 1)
                else:
                    tally.conv_norm(channels, outputs, 3, step)
                    tally.conv(outputs, outputs, 3)
            inputs = outputs
    tally.norm(2 * inputs)
    tally.dense(2 * inputs, classes)
    return tally.counts()


def fractal(widths, columns):
    """Larsson et al. 2017 and the authors' script: columns of 1, 2, 4, … convolutions a block."""
    tally = Tally(32)
    inputs = 3
    for width in widths:
        for column in range(columns):
            for index in range(2**column):
                tally.conv_norm(width if index else inputs, width, 3)
        tally.size //= 2
        inputs = width
    tally.dense(inputs, 10)
    return tally.counts()


def shaken(width):
    """Gastaldi 2017, depth 26: two branches in each block, shortcuts of two 1×1 convolutions."""
    tally = Tally(32)
    tally.conv_norm(3, 16, 3)
    inputs = 16
    for stage in range(3):
        outputs = width * 2**stage
        for block in range(4):
            stride = 2 if stage and block == 0 else 1
            paths = [tally.aside() for _ in range(3)]
            if inputs != outputs:
                for path in paths[:2]:
                    path.conv(inputs, outputs // 2, 1, stride)
                paths[0].norm(outputs)
            for branch in (tally, paths[2]):
                branch.conv_norm(inputs, outputs, 3, stride)
                branch.conv_norm(outputs, outputs, 3)
            for path in paths:
                tally.join(path)
            inputs = outputs
    tally.dense(inputs, 10)
    return tally.counts()


def densely_connected(size, first, depths, growth, classes, *, small_stem=False):
    """DenseNet-BC: 1×1 convolutions of 4 growth rates, transitions that halve the channels."""
    tally = Tally(size)
    if small_stem:
        tally.conv(3, first, 3)
    else:
        tally.conv_norm(3, first, 7, stride=2)
        tally.size = strided(tally.size, 2)
    channels = first
    for position, depth in enumerate(depths):
        for _ in range(depth):
            tally.norm(channels)
            tally.conv_norm(channels, 4 * growth, 1)
            tally.conv(4 * growth, growth, 3)
            channels += growth
        if position < len(depths) - 1:
            tally.norm(channels)
            tally.conv(channels, channels // 2, 1)
            channels //= 2
            tally.size //= 2
    tally.norm(channels)
    tally.dense(channels, classes)
    return tally.counts()


def time_series(length=128, features=1, classes=2):
    """Wang et al. 2017, figure 1c: every shortcut is normalized, only unequal ones projected."""
    tally = Tally(length, dimensions=1)
    inputs = features
    for width in (64, 128, 128):
        shortcut = tally.aside()
        if inputs != width:
            shortcut.conv(inputs, width, 1)
        shortcut.norm(width)
        for kernel in (8, 5, 3):
            tally.conv_norm(inputs, width, kernel)
            inputs = width
        tally.join(shortcut)
    tally.dense(inputs, classes)
    return tally.counts()


def keywords(convolutions, maps, window=(1, 1), times=101, coefficients=40, words=12):
    """Tang and Lin 2018: 3×3 convolutions over MFCC, normalizations without scale and offset."""
    tally = Rectangle(times, coefficients)
    tally.conv(1, maps, 3)
    tally.positions = (times // window[0]) * (coefficients // window[1])
    for _ in range(convolutions):
        tally.conv(maps, maps, 3)
        tally.statistics += 2 * maps
    tally.dense(maps, words)
    return tally.counts()


def broadcasted(factor, times=101, frequencies=40, words=12):
    """Kim et al. 2021, the authors' widths; depthwise kernels of three, five sub-bands."""
    base = int(8 * factor)
    channels, frequencies = 2 * base, frequencies // 2
    tally = Rectangle(times, frequencies)
    tally.conv_norm(1, channels, 5)
    for stage, depth in enumerate((2, 2, 4, 4)):
        width = int(base * (1 + stage / 2))
        for block in range(depth):
            if block == 0:
                tally.conv_norm(channels, width, 1)
                frequencies //= 2 if stage in (1, 2) else 1
                tally.positions = times * frequencies
            tally.depthwise(width, 3)
            for _ in range(5):
                tally.norm(width)
            tally.positions = times
            tally.depthwise(width, 3)
            tally.norm(width)
            tally.conv(width, width, 1)
            tally.positions = times * frequencies
        channels = width
    tally.positions = times * (frequencies - 4)
    tally.depthwise(channels, 25)
    tally.conv_norm(channels, 4 * base, 1)
    tally.dense(4 * base, words)
    return tally.counts()


def interpolated(height=720, width=1280):
    """Kim et al. 2016: 20 convolutions of width 64 over an enlarged luminance."""
    tally = Rectangle(height, width)
    tally.conv_bias(1, 64, 3)
    for _ in range(18):
        tally.conv_bias(64, 64, 3)
    tally.conv_bias(64, 1, 3)
    return tally.counts()


def shuffled(blocks, filters, *, scale=4, normalized=False):
    """Blocks at the low resolution, then steps of a factor of 2, for an output of 1280×720."""
    tally = Rectangle(720 // scale, 1280 // scale)
    outer = 9 if normalized else 3
    tally.conv_bias(3, filters, outer)
    tally.trainable += filters if normalized else 0  # PReLU
    for layer in range(2 * blocks + 1):
        if not normalized:
            tally.conv_bias(filters, filters, 3)
            continue
        tally.conv_norm(filters, filters, 3)
        first_of_a_block = layer % 2 == 0 and layer < 2 * blocks
        tally.trainable += filters if first_of_a_block else 0
    while tally.positions < 720 * 1280:
        tally.conv_bias(filters, 4 * filters, 3)
        tally.positions *= 4
        tally.trainable += filters if normalized else 0
    tally.conv_bias(filters, 3, outer)
    return tally.counts()


D18, D34, D50 = (2, 2, 2, 2), (3, 4, 6, 3), (3, 4, 6, 3)
D101, D152, D200 = (3, 4, 23, 3), (3, 8, 36, 3), (3, 24, 36, 3)


def bottlenecks(depths, **options):
    return imagenet(depths, bottleneck=True, **options)


def grouped(depths, cardinality, width, **options):
    """ResNeXt: `cardinality` groups, `width` channels each in the first stage."""
    return bottlenecks(
        depths,
        groups=cardinality,
        inner=lambda stage_width: cardinality * width * stage_width // 64,
        **options,
    )


def wide(depths):
    return bottlenecks(depths, inner=lambda stage_width: 2 * stage_width)


def resnext29(cardinality):
    return small(
        3,
        first=64,
        widths=(64, 128, 256),
        bottleneck=True,
        groups=cardinality,
        inner=lambda stage_width: cardinality * stage_width,
    )


REV = (128, 128, 256, 512, 832)
# The authors' code strides the first 1×1 convolution.
PREACTIVATED = {"preactivated": True, "bottleneck": True, "stride_on_first": True}

NETWORKS = {
    "ResNet18": lambda: imagenet(D18),
    "ResNet34": lambda: imagenet(D34),
    "ResNet50": lambda: bottlenecks(D50),
    "ResNet101": lambda: bottlenecks(D101),
    "ResNet152": lambda: bottlenecks(D152),
    "ResNet50V1": lambda: bottlenecks(D50, stride_on_first=True),
    "ResNet101V1": lambda: bottlenecks(D101, stride_on_first=True),
    "ResNet152V1": lambda: bottlenecks(D152, stride_on_first=True),
    "ResNet18V2": lambda: imagenet(D18, preactivated=True),
    "ResNet34V2": lambda: imagenet(D34, preactivated=True),
    "ResNet50V2": lambda: bottlenecks(D50, preactivated=True),
    "ResNet101V2": lambda: bottlenecks(D101, preactivated=True),
    "ResNet152V2": lambda: bottlenecks(D152, preactivated=True),
    "ResNet200V2": lambda: bottlenecks(D200, preactivated=True),
    "ResNet18D": lambda: imagenet(D18, deep=True),
    "ResNet34D": lambda: imagenet(D34, deep=True),
    "ResNet50D": lambda: bottlenecks(D50, deep=True),
    "ResNet101D": lambda: bottlenecks(D101, deep=True),
    "ResNet152D": lambda: bottlenecks(D152, deep=True),
    "SEResNet18": lambda: imagenet(D18, se=True),
    "SEResNet50": lambda: bottlenecks(D50, se=True),
    "SEResNet101": lambda: bottlenecks(D101, se=True),
    "SEResNeXt50_32x4d": lambda: grouped(D50, 32, 4, se=True),
    "ResNeXt50_32x4d": lambda: grouped(D50, 32, 4),
    "ResNeXt101_32x8d": lambda: grouped(D101, 32, 8),
    "ResNeXt101_64x4d": lambda: grouped(D101, 64, 4),
    "WideResNet50_2": lambda: wide(D50),
    "WideResNet101_2": lambda: wide(D101),
    "DenseNet121": lambda: densely_connected(224, 64, (6, 12, 24, 16), 32, 1000),
    "DenseNet161": lambda: densely_connected(224, 96, (6, 12, 36, 24), 48, 1000),
    "DenseNet169": lambda: densely_connected(224, 64, (6, 12, 32, 32), 32, 1000),
    "DenseNet201": lambda: densely_connected(224, 64, (6, 12, 48, 32), 32, 1000),
    "ResNet8": lambda: small(1),
    "ResNet20": lambda: small(3, free_shortcut=True),
    "ResNet32": lambda: small(5, free_shortcut=True),
    "ResNet44": lambda: small(7, free_shortcut=True),
    "ResNet56": lambda: small(9, free_shortcut=True),
    "ResNet110": lambda: small(18, free_shortcut=True),
    "ResNet1202": lambda: small(200, free_shortcut=True),
    "ResNet110V2": lambda: small(18, preactivated=True, free_shortcut=True),
    "ResNet164V2": lambda: small(18, **PREACTIVATED),
    "ResNet1001V2": lambda: small(111, **PREACTIVATED),
    "WideResNet16_8": lambda: small(2, 8, preactivated=True),
    "WideResNet28_10": lambda: small(4, 10, preactivated=True),
    "WideResNet40_4": lambda: small(6, 4, preactivated=True),
    "ResNeXt29_8x64d": lambda: resnext29(8),
    "ResNeXt29_16x64d": lambda: resnext29(16),
    "DenseNetBC100_12": lambda: densely_connected(32, 24, (16,) * 3, 12, 10, small_stem=True),
    "DenseNetBC190_40": lambda: densely_connected(32, 80, (31,) * 3, 40, 10, small_stem=True),
    "ResNet1D": time_series,
    "PyramidNet110_48": lambda: pyramid(110, 48),
    "PyramidNet110_84": lambda: pyramid(110, 84),
    "PyramidNet110_270": lambda: pyramid(110, 270),
    "PyramidNet164_270": lambda: pyramid(164, 270, bottleneck=True),
    "PyramidNet200_240": lambda: pyramid(200, 240, bottleneck=True),
    "PyramidNet272_200": lambda: pyramid(272, 200, bottleneck=True),
    "Res8": lambda: keywords(6, 45, window=(4, 3)),
    "Res8Narrow": lambda: keywords(6, 19, window=(4, 3)),
    "Res15": lambda: keywords(13, 45),
    "Res15Narrow": lambda: keywords(13, 19),
    "Res26": lambda: keywords(24, 45, window=(2, 2)),
    "Res26Narrow": lambda: keywords(24, 19, window=(2, 2)),
    "BCResNet1": lambda: broadcasted(1),
    "BCResNet1_5": lambda: broadcasted(1.5),
    "BCResNet2": lambda: broadcasted(2),
    "BCResNet3": lambda: broadcasted(3),
    "BCResNet6": lambda: broadcasted(6),
    "BCResNet8": lambda: broadcasted(8),
    "FractalNet20": lambda: fractal((64, 128, 256, 512, 512), 3),
    "FractalNet40": lambda: fractal((16, 32, 64, 128, 128), 4),
    "HighwayNet19": lambda: highway(((32, 5), (80, 6), (128, 6))),
    "RevNet38": lambda: reversible(32, (3, 3, 3), (32, 32, 64, 112), 10),
    "RevNet110": lambda: reversible(32, (9, 9, 9), (32, 32, 64, 128), 10),
    "RevNet164": lambda: reversible(32, (9, 9, 9), (32, 32, 64, 128), 10, bottleneck=True),
    "RevNet56": lambda: reversible(224, (2, 2, 3, 2), REV, 1000, bottleneck=True),
    "RevNet104": lambda: reversible(224, (2, 2, 11, 2), REV, 1000, bottleneck=True),
    "RoR3_110": lambda: small(18, free_shortcut=True, levels=3),
    "RoR3_164": lambda: small(27, free_shortcut=True, levels=3),
    "PreRoR3_164": lambda: small(27, free_shortcut=True, levels=3, preactivated=True),
    "RoR3WideResNet58_4": lambda: small(9, 4, preactivated=True, levels=3),
    "WideRiR18": lambda: two_streams((4, 6, 6), 48),
    "ShakeShake26_2x32d": lambda: shaken(32),
    "ShakeShake26_2x64d": lambda: shaken(64),
    "ShakeShake26_2x96d": lambda: shaken(96),
    "VDSR": interpolated,
    "SRResNet": lambda: shuffled(16, 64, normalized=True),
    "EDSR": lambda: shuffled(16, 64),
    "EDSRLarge": lambda: shuffled(32, 256),
}
