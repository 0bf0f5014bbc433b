"""Training of a super-resolution network from the command line."""

from pathlib import Path

import keras
import numpy as np

import keras_residual
from keras_residual import analysis, data, training
from keras_residual._words import counted
from keras_residual.cli import _results, _session
from keras_residual.cli._classifier import Batches
from keras_residual.cli._terminal import console, in_one_line, print_next, quiet, refusing

# Lim et al., 2017, use Adam without decay. A cosine schedule, unlike halving, suits any length.
RECIPE = training.Recipe(
    optimizer="adamw",
    learning_rate=5e-4,
    weight_decay=0.0,
    epochs=30,
    batch_size=16,
    warmup=0.05,
    augmentation="none",
)
PATCH, STEPS, VALIDATION_STEPS = 48, 100, 4


def is_super_resolution(model: str) -> bool:
    """Returns whether the network of that name is for super-resolution."""
    return model.lower() in map(str.lower, keras_residual.list_models(kind="super_resolution"))


def train(
    model: str,
    folder: str,
    scale: int,
    *,
    epochs: int | None,
    batch_size: int | None,
    patch_size: int | None,
    seed: int,
    output: Path | None,
    dtype: str,
    tensorboard: bool,
    resume: bool,
    again: str,
) -> None:
    """Trains on patches of a folder's pictures; compares with bicubic on a held-out tenth."""
    with refusing(), quiet():
        keras.utils.set_random_seed(seed)
        network = keras_residual.get_model(model, scale=scale, dtype=dtype)
        pairs = data.ImagePairs(folder, scale, luminance=network.input_shape[-1] == 1)
        shown, held_out = pairs.hold_out(0.1, seed)
        size = {"batch_size": batch_size or RECIPE.batch_size, "patch_size": patch_size or PATCH}
        # Drawn once, so that every epoch is evaluated on the same patches.
        drawn = held_out.patches(seed=seed, **size).take(VALIDATION_STEPS).as_numpy_iterator()
        validation = tuple(np.concatenate(part) for part in zip(*drawn, strict=True))
        shown.check_sizes(size["patch_size"])
        output = output or Path("runs") / f"{network.name}-x{scale}-{Path(folder).name}"
    console.print(
        f"{network.name}, {network.count_params():,} parameters, on "
        f"{counted(len(shown), 'picture')} of {folder}, {len(held_out)} held out",
        markup=False,
        soft_wrap=in_one_line(),
    )

    def patches(epoch):
        return shown.patches(seed=seed, epoch=epoch, steps_per_epoch=STEPS, **size)

    _session.run(
        network,
        Batches((patches, validation), STEPS),
        RECIPE,
        output,
        resume,
        epochs=epochs or RECIPE.epochs,
        settings={"dataset": folder, "scale": scale, "seed": seed, "dtype": dtype, **size},
        tensorboard=tensorboard,
        again=again,
        loss="mean_absolute_error",
        metric=analysis.batch_psnr,
    )
    with refusing(), quiet():
        for name, bicubic, found in compared(network, held_out):
            line = f"{name}: bicubic {bicubic:.2f} dB, {network.name} {found:.2f} dB"
            console.print(line, markup=False, soft_wrap=in_one_line())
    console.print(_results.files_in(output), markup=False, soft_wrap=in_one_line())
    print_next("upscale", "PICTURE", "--model", output / "model.keras")


def compared(network: keras.Model, pairs: data.ImagePairs):
    """Yields each picture's name and the PSNR on Y of its bicubic and network enlargements."""
    for index in range(len(pairs)):
        small, large = pairs.pair(index)
        levels = np.round(255 * small).astype(np.uint8)
        bicubic = data.resized(levels, *large.shape[1::-1]) / 255
        found = data.upscale(network.predict_on_batch, small, pairs.scale)
        yield (
            pairs.name(index),
            *(analysis.psnr(large, picture, pairs.scale) for picture in (bicubic, found)),
        )
