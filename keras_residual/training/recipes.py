"""The recipes of papers, and some of this package."""

from dataclasses import replace

from keras_residual import _checks
from keras_residual.training.recipe import Recipe

# Wightman et al., 2021, table 2: what their three recipes have in common.
_RSB = Recipe(
    optimizer="lamb",
    learning_rate=5e-3,
    batch_size=2048,
    weight_decay=0.02,
    loss="binary_cross_entropy",
    mixup=0.1,
    cutmix=1.0,
    augmentation="imagenet",
    rand_augment=7.0,
    image_size=224,
    test_crop=0.95,
    model={"classifier_activation": None},
)

# Small networks on small images in few epochs, which need no more regularization.
_ONE_CYCLE = Recipe(
    schedule="one_cycle",
    learning_rate=0.2,
    epochs=30,
    weight_decay=2e-4,
    nesterov=True,
    warmup=0.2,
    ema=0.998,
)

recipes: dict[str, Recipe] = {
    # He et al., 2015, section 4.2: 64k steps of 128, of 50,000 images each epoch.
    "he2015": Recipe(schedule="steps", epochs=164),
    # He et al., 2016, section 3: as above, after 400 steps at a tenth of the rate.
    "preactivation": Recipe(
        schedule="steps", epochs=164, warmup=400 / 64_000, constant_warmup=True
    ),
    # Zagoruyko and Komodakis, 2016, section 3, with the dropout of their best networks. Their
    # code uses reflection padding, this package zeros.
    "wide_resnet": Recipe(
        schedule="steps",
        epochs=200,
        weight_decay=5e-4,
        nesterov=True,
        drops=(0.3, 0.6, 0.8),
        drop_factor=0.2,
        model={"dropout_rate": 0.3},
    ),
    # Xie et al., 2017, section 5.3.
    "resnext": Recipe(schedule="steps", epochs=300, weight_decay=5e-4, nesterov=True),
    # Huang et al., 2017, section 4.2; they use dropout of 0.2 only without augmentation.
    "densenet": Recipe(schedule="steps", epochs=300, batch_size=64, nesterov=True),
    # For small images, with techniques that have proved useful since.
    "modern": replace(
        _ONE_CYCLE,
        epochs=200,
        weight_decay=5e-4,
        warmup=0.15,
        label_smoothing=0.1,
        cutmix=1.0,
        ema=0.999,
    ),
    "one_cycle": _ONE_CYCLE,
    # torchvision's first weights: references/classification, 8 × 32 images per step.
    "imagenet": Recipe(
        schedule="steps",
        epochs=90,
        batch_size=256,
        drops=(1 / 3, 2 / 3),
        augmentation="imagenet",
        image_size=224,
    ),
    "rsb_a1": replace(
        _RSB,
        epochs=600,
        weight_decay=0.01,
        warmup=5 / 600,
        label_smoothing=0.1,
        mixup=0.2,
        repeats=3,
        model=_RSB.model | {"drop_path_rate": 0.05},
    ),
    "rsb_a2": replace(
        _RSB,
        epochs=300,
        warmup=5 / 300,
        repeats=3,
        model=_RSB.model | {"drop_path_rate": 0.05},
    ),
    "rsb_a3": replace(
        _RSB,
        learning_rate=8e-3,
        epochs=100,
        warmup=5 / 100,
        rand_augment=6.0,
        image_size=160,
        test_image_size=224,
    ),
    # Fawaz et al., 2019, trained with Adam at 1e-3 and batches of 16 and halved the rate on
    # plateaus; half a cosine needs fewer epochs and no state.
    "time_series": Recipe(
        optimizer="adamw",
        learning_rate=1e-3,
        epochs=200,
        batch_size=16,
        weight_decay=0.01,
        warmup=0.1,
        augmentation="none",
    ),
    # Published weights on one's own photographs: ResNet-50 with 1,500 of them takes minutes on a
    # CPU. Six epochs after those of the head, more if these have few steps.
    "fine_tune": Recipe(
        optimizer="adamw",
        learning_rate=5e-4,
        epochs=45,
        batch_size=32,
        weight_decay=0.05,
        warmup=0.1,
        label_smoothing=0.1,
        augmentation="photo",
        head_epochs=40,
        head_learning_rate=1e-2,
        layer_decay=0.75,
        least_factor=0.1,
        freeze_normalization=True,
        restore_best=True,
        least_steps=150,
        test_crop=1.0,
    ),
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


def find_recipe(recipe: Recipe | str) -> Recipe:
    """Returns a recipe as it is, or the one of that name.

    Args:
        recipe: A `Recipe` or the name of one of `recipes`.

    Raises:
        ValueError: If there is none of that name; the message names the nearest ones.

    Example:

    >>> find_recipe("he2015").epochs
    164
    """
    if isinstance(recipe, Recipe):
        return recipe
    return recipes[_checks.known("recipe", recipe, recipes)]
