"""The embedded dataset: 1,797 scans of handwritten digits."""

import functools
import os
import tempfile
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from keras_residual.data.dataset import Dataset
from keras_residual.data.dividing import stratified
from keras_residual.data.sources.arrays import ARRAY_NAMES
from keras_residual.data.splits import ArraySplit

WHITE = 16
_TEST_FRACTION, _SEED = 0.2, 0
_CITATION = """@misc{alpaydin1998optdigits,
  author = {Alpaydin, E. and Kaynak, C.},
  title = {Optical Recognition of Handwritten Digits},
  year = {1998},
  publisher = {UCI Machine Learning Repository},
  doi = {10.24432/C50P49}
}"""


def write_asset(path: str | os.PathLike[str]) -> None:
    """Writes `digits.npz`, the file in this package, from the digits of scikit-learn.

    A stratified 1,437 / 360 split of `sklearn.datasets.load_digits()` with seed 0 by
    `keras_residual.data.dividing.stratified`, pixels 0..16 as uint8, in the original order. Writers
    may occur in both parts, because the data does not identify them.

    Args:
        path: The file to write.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    images, labels = digits.images[..., None].astype(np.uint8), digits.target.astype(np.uint8)
    rest, held_out = stratified(labels, _TEST_FRACTION, _SEED)
    arrays = (images[rest], labels[rest], images[held_out], labels[held_out])
    with tempfile.TemporaryDirectory(dir=Path(path).parent) as folder:
        temporary = Path(folder) / "digits.npz"
        np.savez_compressed(
            temporary,
            **dict(zip(ARRAY_NAMES, arrays, strict=True)),
            label_names=np.array([str(name) for name in digits.target_names]),
        )
        os.replace(temporary, path)


def digits() -> Dataset:
    """Returns the embedded digits: 1,437 training and 360 held-out images, 8 x 8 x 1, 0..16.

    Returns:
        A `Dataset` of `ArraySplit`s.

    Reference:
        - Alpaydin and Kaynak, 1998, [UCI](https://doi.org/10.24432/C50P49), CC BY 4.0; the test
          partition, as included in scikit-learn.
    """
    with (
        resources.files("keras_residual.data").joinpath("assets/digits.npz").open("rb") as file,
        np.load(file, allow_pickle=False) as archive,
    ):
        arrays = {name: archive[name] for name in ARRAY_NAMES}
        names = tuple(str(name) for name in archive["label_names"])
    splits = (
        ArraySplit(
            x=arrays[f"x_{part}"],
            y=arrays[f"y_{part}"].astype(np.int32),
            image_shape=(8, 8, 1),
            scale=float(WHITE),
            augmentation="shift",
        )
        for part in ("train", "test")
    )
    return Dataset("digits", *splits, names)


@functools.cache
def _builder_class() -> type[Any]:
    from keras_residual.data.sources.tfds_stream import import_tfds

    tfds = import_tfds()

    class Digits(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        """The embedded digits as TFDS's other datasets: pixels 0..255."""

        VERSION = tfds.core.Version("1.0.0")
        RELEASE_NOTES = {"1.0.0": "The division embedded in keras_residual."}  # noqa: RUF012

        def _info(self) -> Any:
            return tfds.core.DatasetInfo(
                builder=self,
                description=digits.__doc__,
                homepage="https://doi.org/10.24432/C50P49",
                license="CC BY 4.0",
                citation=_CITATION,
                features=tfds.features.FeaturesDict(
                    {
                        "image": tfds.features.Image(shape=(8, 8, 1)),
                        "label": tfds.features.ClassLabel(names=list(digits().class_names)),
                    }
                ),
                supervised_keys=("image", "label"),
            )

        def _split_generators(self, dl_manager: Any) -> dict[Any, Any]:
            dataset = digits()
            return {
                name: self._generate_examples(getattr(dataset, name)) for name in ("train", "test")
            }

        def _generate_examples(self, split: ArraySplit) -> Any:
            grey = np.round(split.x * (255 / WHITE)).astype(np.uint8)
            for index, (image, label) in enumerate(zip(grey, split.y, strict=True)):
                yield index, {"image": image, "label": int(label)}

    return Digits


def digits_builder(data_dir: str | os.PathLike[str] | None = None) -> Any:
    """Returns the embedded digits as a builder of TensorFlow Datasets.

    Images are `(8, 8, 1)` uint8 in 0..255, as usual in TFDS; `digits()` has the original 0..16.

    Args:
        data_dir: Folder that `download_and_prepare()`, which downloads nothing, writes to. Defaults
            to that of TFDS.

    Returns:
        A `tfds.core.GeneratorBasedBuilder` with the splits `train` and `test`.

    Raises:
        ImportError: If TensorFlow Datasets is not installed.

    Example:

    >>> builder = digits_builder("data")  # doctest: +SKIP
    >>> builder.download_and_prepare()  # doctest: +SKIP
    >>> train = builder.as_dataset(split="train", as_supervised=True)  # doctest: +SKIP
    """
    return _builder_class()(data_dir=data_dir)
