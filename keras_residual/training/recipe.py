"""Recipes: optimizer, schedule and regularization of a training, as data."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import keras

from keras_residual import _checks
from keras_residual.training import losses, schedules
from keras_residual.training.layerwise import LAYERWISE, WITHOUT_DECAY
from keras_residual.training.updates import fuse_updates

_OPTIMIZERS = ("sgd", "adamw", "lamb")
_SCHEDULES = ("cosine", "steps", "one_cycle")
# An average over a larger part of a training would include its beginning.
_WINDOWS = 10
# Fields that may change when a training is resumed, and fields that are part of its batches.
_FREE = ("epochs", "batch_size", "model")
_OF_BATCHES = (
    "batch_size",
    "augmentation",
    "mixup",
    "cutmix",
    "rand_augment",
    "repeats",
    "image_size",
    "test_image_size",
    "test_crop",
)


@dataclass(frozen=True)
class Recipe:
    """How to train a network.

    Attributes:
        optimizer: `"sgd"`, `"adamw"` or `"lamb"`.
        learning_rate: The maximal learning rate.
        schedule: `"cosine"`, half a cosine down to 0; `"steps"`, multiplied by `drop_factor` at
            each of `drops`; or `"one_cycle"`, linear down to 0.
        epochs: Default number of epochs.
        batch_size: Default number of examples in a batch.
        weight_decay: Decay of kernels; biases and the scales and shifts of normalizations have
            none. With `"sgd"` it is the factor of the L2 penalty's gradient, as in papers; with the
            others it is decoupled.
        momentum: Momentum of `"sgd"`.
        nesterov: Whether to use Nesterov momentum.
        warmup: Fraction of all steps in which the rate rises linearly, from a tenth with
            `"cosine"` and `"steps"`.
        constant_warmup: Whether `"steps"` keeps a tenth of the rate throughout the warmup.
        drops: Fractions of all steps after which the rate of `"steps"` is multiplied.
        drop_factor: The factor of these drops.
        loss: `"cross_entropy"`, or `"binary_cross_entropy"`, which treats classes independently.
        label_smoothing: Fraction of the target spread over all classes, in [0, 1).
        ema: Momentum of a moving average of the weights, which replaces them in evaluation and
            after the last epoch; `0` for none. In a short training it is reduced, so that the
            average covers at most a tenth of the steps.
        augmentation: Augmentation of the training images, see `data.pipeline`.
        mixup: Exponent α of mixup; `0` for none.
        cutmix: Exponent α of CutMix; `0` for none. With both, each image gets one of them.
        rand_augment: Magnitude of RandAugment, up to 10, see `data.rand_augment`; `0` for none.
        repeats: How often an epoch repeats each of its images with different augmentation; epochs
            keep their length, so that neighbouring epochs have different images.
        image_size: Side to which images are resized; `None` for their own, or 224.
        test_image_size: That of the held-out images; `None` for the same. The network must accept
            both.
        test_crop: Fraction of the shorter side of held-out images that is kept with `"imagenet"`.
        head_epochs: Number of epochs at the beginning in which only the head trains.
        head_learning_rate: The maximal learning rate in these.
        layer_decay: Factor of the learning rate from each block or other layer to the one below;
            `1` for none.
        least_factor: Layers with a smaller factor of the learning rate are frozen.
        freeze: Name of the last frozen layer, such as `"stage3"`; `None` to use `least_factor`.
        freeze_normalization: Whether batch normalizations are frozen, and use their moving
            statistics in training too.
        versions: Number of versions of each image for which outputs of frozen layers are cached,
            the first unchanged and the others augmented; `0` to compute them in each step.
        restore_best: Whether the weights of the epoch with the lowest loss on the held-out examples
            are restored at the end.
        least_steps: Least number of steps after those of the head; epochs are added for it, unless
            the number of epochs is given.
        model: Options of the network that belong to the recipe, such as a dropout rate. They apply
            where the network is created by the recipe, as in `keras-residual train`.
    """

    optimizer: str = "sgd"
    learning_rate: float = 0.1
    schedule: str = "cosine"
    epochs: int = 30
    batch_size: int = 128
    weight_decay: float = 1e-4
    momentum: float = 0.9
    nesterov: bool = False
    warmup: float = 0.0
    constant_warmup: bool = False
    drops: tuple[float, ...] = (0.5, 0.75)
    drop_factor: float = 0.1
    loss: str = "cross_entropy"
    label_smoothing: float = 0.0
    ema: float = 0.0
    augmentation: str = "auto"
    mixup: float = 0.0
    cutmix: float = 0.0
    rand_augment: float = 0.0
    repeats: int = 1
    image_size: int | None = None
    test_image_size: int | None = None
    test_crop: float = 224 / 256
    head_epochs: int = 0
    head_learning_rate: float = 1e-3
    layer_decay: float = 1.0
    least_factor: float = 0.0
    freeze: str | None = None
    freeze_normalization: bool = False
    versions: int = 4
    restore_best: bool = False
    least_steps: int = 0
    model: dict[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        _checks.choice("optimizer", self.optimizer, _OPTIMIZERS)
        _checks.choice("schedule", self.schedule, _SCHEDULES)
        _checks.choice("loss", self.loss, losses.KINDS)
        for name in ("epochs", "batch_size", "repeats"):
            _checks.integer(name, getattr(self, name))
        for name in ("learning_rate", "weight_decay", "mixup", "cutmix"):
            _checks.real(name, getattr(self, name), 0, 1e6)
        for name in ("momentum", "warmup", "label_smoothing", "ema"):
            _checks.real(name, getattr(self, name), 0, 1, open_end=True)
        for name in ("head_epochs", "versions", "least_steps"):
            _checks.integer(name, getattr(self, name), 0)
        _checks.real("head_learning_rate", self.head_learning_rate, 0, 1e6)
        if not _checks.real("layer_decay", self.layer_decay, 0, 1) > 0:
            raise ValueError("`layer_decay` must be more than 0. Received: layer_decay=0")
        _checks.real("least_factor", self.least_factor, 0, 1)
        for name in ("nesterov", "constant_warmup", "freeze_normalization", "restore_best"):
            _checks.boolean(name, getattr(self, name))
        _checks.real("drop_factor", self.drop_factor, 0, 1)
        _checks.real("rand_augment", self.rand_augment, 0, 10)
        _checks.real("test_crop", self.test_crop, 0.01, 1)
        object.__setattr__(self, "drops", _fractions("drops", self.drops))
        if not isinstance(self.augmentation, str):
            raise ValueError(
                "`augmentation` must be the name of one; layers and functions are given to "
                f"`Dataset.batches`. Received: augmentation={self.augmentation!r}"
            )
        if not isinstance(self.model, dict) or not all(isinstance(key, str) for key in self.model):
            raise ValueError(
                "`model` must hold options of the network by name, such as {'dropout_rate': 0.3}. "
                f"Received: model={self.model!r}"
            )
        for name in ("image_size", "test_image_size"):
            if getattr(self, name) is not None:
                _checks.integer(name, getattr(self, name))

    def learning_rates(self, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
        """Returns the learning rate as a function of the step, for a training of `steps` steps."""
        rate, warmup = self.learning_rate, round(self.warmup * steps)
        if self.schedule == "one_cycle":
            return schedules.OneCycle(rate, steps, warmup)
        if self.schedule == "steps":
            boundaries = [max(1, round(fraction * steps)) for fraction in self.drops]
            values = [rate * self.drop_factor**drop for drop in range(len(boundaries) + 1)]
            if warmup:
                return schedules.Steps(boundaries, values, warmup, rate / 10, self.constant_warmup)
            return keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, values)
        warm = {"warmup_target": rate, "warmup_steps": warmup} if warmup else {}
        return keras.optimizers.schedules.CosineDecay(
            rate / 10 if warmup else rate, max(1, steps - warmup), **warm
        )

    @property
    def in_phases(self) -> bool:
        """Whether parts of the network train at different times or rates, for fine-tuning."""
        special = (self.head_epochs, self.freeze, self.freeze_normalization, self.restore_best)
        return any(special) or self.layer_decay < 1

    def epochs_of(self, steps: int) -> int:
        """Returns the number of epochs of a training with `steps` steps in each."""
        enough = self.head_epochs + math.ceil(self.least_steps / steps)
        return max(self.epochs, enough if self.least_steps else 0)

    def make_layerwise_optimizer(
        self, steps: int, learning_rate: float, factors: Sequence[Any]
    ) -> keras.optimizers.Optimizer:
        """Returns a new optimizer whose learning rate differs from variable to variable.

        Args:
            steps: Number of steps.
            learning_rate: The maximal rate, in place of the recipe's.
            factors: See `LayerwiseSGD`.
        """
        rates = replace(self, learning_rate=learning_rate).learning_rates(steps)
        options = {"factors": factors, "decay": self.weight_decay}
        if self.optimizer == "sgd":
            options |= {"momentum": self.momentum, "nesterov": self.nesterov}
            options["decay"] /= 1 - self.momentum
        return LAYERWISE[self.optimizer](rates, **options)

    def make_optimizer(self, steps: int) -> keras.optimizers.Optimizer:
        """Returns a new optimizer for a training of `steps` steps."""
        rates = self.learning_rates(_checks.integer("steps", steps))
        momentum = min(self.ema, max(0.0, 1 - _WINDOWS / steps))
        average = {"use_ema": True, "ema_momentum": momentum} if self.ema else {}
        if self.optimizer == "sgd":
            # Keras applies the decay outside the momentum, which would accumulate it.
            decay = self.weight_decay / (1 - self.momentum) or None
            made = keras.optimizers.SGD(
                rates, self.momentum, self.nesterov, weight_decay=decay, **average
            )
        else:
            make = {"adamw": keras.optimizers.AdamW, "lamb": keras.optimizers.Lamb}[self.optimizer]
            made = make(rates, weight_decay=self.weight_decay, **average)
        made.exclude_from_weight_decay(var_names=[WITHOUT_DECAY])
        fuse_updates(made, [WITHOUT_DECAY])
        return made

    def batch_options(self) -> dict[str, Any]:
        """Returns the recipe's fields about batches, as arguments of `Dataset.batches`."""
        return {name: getattr(self, name) for name in _OF_BATCHES}

    def identity(self) -> dict[str, Any]:
        """Returns the fields that must not change when a training is resumed, as JSON values."""
        settings = {key: value for key, value in asdict(self).items() if key not in _FREE}
        return {**settings, "drops": list(self.drops)}


def _fractions(name: str, value: object) -> tuple[float, ...]:
    """Returns `value` as a tuple of ascending numbers in [0, 1], or raises."""
    ascending = isinstance(value, (list, tuple)) and all(
        isinstance(item, (int, float)) and not isinstance(item, bool) and 0 <= item <= 1
        for item in value
    )
    if not ascending or list(value) != sorted(value):
        raise ValueError(
            f"`{name}` must be a sequence of ascending fractions in [0, 1]. Received: "
            f"{name}={value!r}"
        )
    return tuple(value)
