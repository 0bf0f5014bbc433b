"""Sums of weights and multiply–accumulates along a walk over a network's table."""

from dataclasses import dataclass


def strided(size, stride):
    return -(-size // stride)


@dataclass
class Tally:
    """The counts so far, and the current feature map, a square or a row of positions."""

    size: int
    dimensions: int = 2
    trainable: int = 0
    statistics: int = 0
    macs: int = 0

    def conv(self, inputs, outputs, kernel, stride=1, groups=1):
        self.size = strided(self.size, stride)
        weights = kernel**self.dimensions * (inputs // groups) * outputs
        self.trainable += weights
        self.macs += weights * self.size**self.dimensions

    def norm(self, channels):
        self.trainable += 2 * channels
        self.statistics += 2 * channels

    def conv_norm(self, inputs, outputs, kernel, stride=1, groups=1):
        self.conv(inputs, outputs, kernel, stride, groups)
        self.norm(outputs)

    def conv_bias(self, inputs, outputs, kernel):
        self.conv(inputs, outputs, kernel)
        self.trainable += outputs

    def dense(self, inputs, outputs):
        self.trainable += inputs * outputs + outputs
        self.macs += inputs * outputs

    def squeeze_excite(self, channels, reduction=16):
        self.dense(channels, channels // reduction)
        self.dense(channels // reduction, channels)

    def aside(self):
        """A second path that starts where the walk stands."""
        return Tally(self.size, self.dimensions)

    def join(self, path):
        self.trainable += path.trainable
        self.statistics += path.statistics
        self.macs += path.macs

    def counts(self):
        return self.trainable, self.trainable + self.statistics, self.macs


class Rectangle(Tally):
    """A walk over images that are not square, in convolutions without strides."""

    def __init__(self, height, width):
        super().__init__(0)
        self.positions = height * width

    def conv(self, inputs, outputs, kernel):
        weights = kernel**2 * inputs * outputs
        self.trainable += weights
        self.macs += weights * self.positions

    def depthwise(self, channels, taps):
        self.trainable += taps * channels
        self.macs += taps * channels * self.positions

    def conv_norm(self, inputs, outputs, kernel):
        self.conv(inputs, outputs, kernel)
        self.norm(outputs)
