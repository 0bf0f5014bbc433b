"""Recipes: optimizer, schedule and regularization of a training, as data."""

from dataclasses import dataclass

import keras

from keras_residual import _checks

_OPTIMIZERS = ("sgd", "adamw")
_SCHEDULES = ("cosine", "steps")
# TensorFlow's variables have a number behind the name.
_WITHOUT_DECAY = [r"(gamma|beta|bias)(_\d+)?(:\d+)?$"]


@dataclass(frozen=True)
class Recipe:
    """How to train a network.

    Attributes:
        optimizer: `"sgd"` or `"adamw"`.
        learning_rate: The highest one.
        schedule: `"cosine"`, falling to 0 along half a cosine, or `"steps"`, divided by ten at each
            of `drops`.
        epochs: Number of epochs, unless a training asks for another.
        batch_size: Number of examples in a batch, unless a training asks for another.
        weight_decay: Decay of kernels; biases and the scales and shifts of normalizations have
            none. With `"sgd"` it is the factor of the L2 penalty's gradient, as papers give it;
            with `"adamw"` it is decoupled.
        momentum: Momentum of `"sgd"`.
        nesterov: Whether it is Nesterov's.
        warmup: Fraction of all steps in which the rate of `"cosine"` rises from a tenth.
        drops: Fractions of all steps after which the rate of `"steps"` is divided by ten.
        augmentation: What `data.pipeline` does to the training images.
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
    drops: tuple[float, ...] = (0.5, 0.75)
    augmentation: str = "auto"

    def __post_init__(self):
        _checks.choice("optimizer", self.optimizer, _OPTIMIZERS)
        _checks.choice("schedule", self.schedule, _SCHEDULES)
        _checks.real("learning_rate", self.learning_rate, 0, 1e6)
        _checks.integer("epochs", self.epochs)
        _checks.integer("batch_size", self.batch_size)
        _checks.real("weight_decay", self.weight_decay, 0, 1e6)
        _checks.real("momentum", self.momentum, 0, 1, open_end=True)
        _checks.boolean("nesterov", self.nesterov)
        _checks.real("warmup", self.warmup, 0, 1, open_end=True)
        for fraction in self.drops:
            _checks.real("drops", fraction, 0, 1)

    def learning_rates(self, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
        """Returns the learning rate as a function of the step, for a training of `steps` steps."""
        schedules = keras.optimizers.schedules
        if self.schedule == "steps":
            boundaries = [max(1, round(fraction * steps)) for fraction in self.drops]
            values = [self.learning_rate / 10**drop for drop in range(len(boundaries) + 1)]
            return schedules.PiecewiseConstantDecay(boundaries, values)
        warmup = round(self.warmup * steps)
        if not warmup:
            return schedules.CosineDecay(self.learning_rate, steps)
        return schedules.CosineDecay(
            self.learning_rate / 10,
            max(1, steps - warmup),
            warmup_target=self.learning_rate,
            warmup_steps=warmup,
        )

    def make_optimizer(self, steps: int) -> keras.optimizers.Optimizer:
        """Returns a new optimizer for a training of `steps` steps."""
        rates = self.learning_rates(_checks.integer("steps", steps))
        if self.optimizer == "adamw":
            made = keras.optimizers.AdamW(rates, weight_decay=self.weight_decay)
        else:
            # Keras subtracts the decay beside the momentum, which would multiply it in time.
            decay = self.weight_decay / (1 - self.momentum) or None
            made = keras.optimizers.SGD(rates, self.momentum, self.nesterov, weight_decay=decay)
        made.exclude_from_weight_decay(var_names=_WITHOUT_DECAY)
        return made


recipes: dict[str, Recipe] = {
    # He et al., 2015, section 4.2: 64k steps of 128, of 50,000 images each epoch.
    "he2015": Recipe(schedule="steps", epochs=164),
    # Small networks on small data, in seconds to minutes.
    "quick": Recipe(
        optimizer="adamw",
        learning_rate=4e-3,
        weight_decay=0.02,
        epochs=30,
        batch_size=64,
        warmup=0.2,
    ),
}


def find_recipe(recipe: "Recipe | str") -> Recipe:
    """Returns a recipe as it is, or the one of that name."""
    if isinstance(recipe, Recipe):
        return recipe
    return recipes[_checks.known("recipe", recipe, recipes)]
