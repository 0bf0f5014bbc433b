"""The preprocessing that weights expect: size, crop, channel order, scaling."""

import dataclasses
from typing import Any

import numpy as np

from keras_residual import _checks
from keras_residual._description import INTERPOLATIONS
from keras_residual._types import Tensor
from keras_residual.layers.image_normalization import ImageNormalization

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
# Larger pictures are not what networks take; a damaged file may state any number.
_LARGEST_SIDE = 2**14

# keras.applications' three modes: divisor, mean, standard deviation, channel order.
_MODES = {
    "caffe": (1.0, (103.939, 116.779, 123.68), (1.0, 1.0, 1.0), "bgr"),
    "tf": (127.5, (1.0, 1.0, 1.0), (1.0, 1.0, 1.0), "rgb"),
    "torch": (255.0, IMAGENET_MEAN, IMAGENET_STD, "rgb"),
}


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """The steps from an RGB image with values 0…255 to the input of a network.

    The shorter side is resized to `resize` with antialiasing, the centre square of `crop` pixels is
    cropped, and the values become `(x / divisor - mean) / std` in the given channel order: the same
    operations as in torchvision and in `preprocess_input` of `keras.applications`. All frames of a
    clip are processed equally.

    Args:
        mean: Three numbers, subtracted after the division by `divisor`, in the order of `channels`.
        std: Three positive numbers.
        divisor: Positive number. Defaults to `255`.
        channels: `"rgb"` or `"bgr"`. Defaults to `"rgb"`.
        resize: Size of the shorter side, height and width, or `None` to keep the size. Defaults to
            `256`.
        crop: Size of the square, or `None` for no crop. Defaults to `224`.
        interpolation: `"nearest"`, `"bilinear"`, `"bicubic"` or `"lanczos"`. Defaults to
            `"bilinear"`.
        antialias: Whether downscaling averages over all pixels, as Pillow does; without it, only
            for `"bilinear"`, each pixel is interpolated from four. Defaults to `True`.

    Raises:
        ValueError: If an argument is out of range.

    Example:

    >>> Preprocessing(resize=232)(np.zeros((1, 480, 640, 3), "uint8")).shape
    (1, 224, 224, 3)
    """

    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    divisor: float = 255.0
    channels: str = "rgb"
    resize: int | tuple[int, int] | None = 256
    crop: int | None = 224
    interpolation: str = "bilinear"
    antialias: bool = True

    def __post_init__(self) -> None:
        self.layer()
        if self.resize is not None:
            sizes = _checks.per_axis("resize", self.resize)
            pair = sizes if isinstance(sizes, tuple) else (sizes, sizes)
            if len(pair) != 2 or max(pair) > _LARGEST_SIDE:
                raise ValueError(
                    "`resize` must be an integer, a pair (height, width) or None, each at most "
                    f"{_LARGEST_SIDE}. Received: resize={self.resize!r}"
                )
        if self.crop is not None:
            _checks.integer("crop", self.crop, maximum=_LARGEST_SIDE)
        _checks.choice("interpolation", self.interpolation, INTERPOLATIONS)
        if not _checks.boolean("antialias", self.antialias) and self.interpolation != "bilinear":
            raise ValueError(
                '`antialias=False` needs interpolation="bilinear". '
                f"Received: antialias=False, interpolation={self.interpolation!r}"
            )

    @classmethod
    def from_mode(cls, mode: str, **geometry: Any) -> "Preprocessing":
        """Returns the preprocessing of a mode of `keras.applications`, such as `"caffe"`."""
        divisor, mean, std, channels = _MODES[_checks.choice("mode", mode, tuple(_MODES))]
        return cls(mean, std, divisor, channels, **geometry)

    @classmethod
    def from_white(cls, white: float) -> "Preprocessing":
        """Returns the scaling to 0…`white`, at the images' own size."""
        return cls((0.0,) * 3, (1.0,) * 3, 255.0 / white, resize=None, crop=None)

    @classmethod
    def from_dict(cls, steps: dict[str, Any]) -> "Preprocessing":
        """Returns the preprocessing from the result of `dataclasses.asdict`, also through JSON."""
        names = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(steps, dict) or not set(steps) <= names:
            raise ValueError(
                f"`steps` must be a dict of some of {sorted(names)}. Received: steps={steps!r}"
            )
        return cls(**{key: tuple(v) if isinstance(v, list) else v for key, v in steps.items()})

    def scales_like(self, other: Any) -> bool:
        """Returns whether another object with these four attributes scales pixels equally."""
        names = ("mean", "std", "divisor", "channels")
        return all(getattr(self, name) == getattr(other, name) for name in names)

    def without_resizing(self) -> "Preprocessing":
        """Returns the same scaling at the images' own size."""
        return dataclasses.replace(self, resize=None, crop=None)

    def with_channels(self, channels: int) -> "Preprocessing":
        """Returns the same scaling for another number of channels, using the average."""
        if channels == len(self.mean):
            return self
        mean, std = (sum(values) / len(values) for values in (self.mean, self.std))
        return dataclasses.replace(
            self, mean=(mean,) * channels, std=(std,) * channels, channels="rgb"
        )

    def layer(self, **layer_arguments: Any) -> ImageNormalization:
        """Returns the last step as a layer, for models that take images with values 0…255."""
        return ImageNormalization(
            self.mean, self.std, self.divisor, self.channels, **layer_arguments
        )

    def __call__(self, images: Tensor) -> np.ndarray:
        """Returns `images`, or clips, as a float32 batch, resized, cropped and normalized."""
        return self.normalize(self.fit(images))

    def normalize(self, images: np.ndarray) -> np.ndarray:
        """Returns channels-last images with values 0…255, scaled as the network expects."""
        images = images[..., ::-1] if self.channels == "bgr" else images
        result = images / np.float32(self.divisor)
        result -= np.asarray(self.mean, np.float32)
        result /= np.asarray(self.std, np.float32)
        return result

    def fit(self, images: Tensor) -> np.ndarray:
        """Returns `images` as one float32 batch with values 0…255, resized and cropped.

        Args:
            images: A batch `(count, height, width, 3)`, or a list of images `(height, width, 3)`
                of any sizes; or clips, `(count, frames, height, width, 3)` or a list of
                `(frames, height, width, 3)`. `uint8`, other integers or floats, always with values
                0…255.

        Raises:
            ValueError: If shapes or values are not of RGB images, or the results differ in size.
        """
        results = [
            np.stack([self._fit_one(frame, i) for frame in image])
            if image.ndim == 4 and len(image)
            else self._fit_one(image, i)
            for i, image in enumerate(_listed(images))
        ]
        if len({result.shape for result in results}) != 1:
            raise ValueError(
                "`images` must come out in one size; without `resize` and `crop` they must come in "
                f"so. Received: {sorted({result.shape for result in results})}"
            )
        return np.stack(results)

    def _fit_one(self, image: np.ndarray, index: int) -> np.ndarray:
        image = _checked_image(image, index)
        if self.resize is not None:
            size = _target(image, self.resize)
            if not self.antialias:
                image = _interpolated(image, size)
            elif image.shape[:2] != size:
                image = _resized(image, size, self.interpolation)
        if self.crop is not None:
            image = _cropped(image, self.crop)
        return image.astype(np.float32)


def _listed(images) -> list[np.ndarray]:
    """Returns the images of a batch or a list as arrays."""
    if not isinstance(images, list | tuple):
        import keras

        images = keras.ops.convert_to_numpy(images)
        if images.ndim not in (4, 5):
            raise ValueError(
                "`images` must be a batch (count, height, width, 3) or a list of images, or clips, "
                "(count, frames, height, width, 3); for one image pass [image]. "
                f"Received: images.shape={images.shape}"
            )
    if not len(images):
        raise ValueError("`images` must not be empty.")
    return [np.asarray(image) for image in images]


def _checked_image(image: np.ndarray, index: int) -> np.ndarray:
    """Returns an RGB image as uint8 or float32, or raises naming the fault."""
    if image.ndim != 3 or image.shape[-1] != 3 or 0 in image.shape:
        raise ValueError(
            "`images` must be RGB images of shape (height, width, 3). "
            f"Received: images[{index}].shape={image.shape}"
        )
    if image.dtype == np.uint8:
        return image
    if image.dtype.kind not in "iuf":
        raise ValueError(
            f"`images` must hold numbers. Received: images[{index}].dtype={image.dtype}"
        )
    low, high = image.min(), image.max()
    whole = image.dtype.kind in "iu" or np.array_equal(image, np.floor(image))
    # Bicubic resizing overshoots 0…255 slightly; scaled or normalized images are within a few units
    # of zero and have fractions.
    margin = 0 if whole else 32
    if not (-margin <= low and high <= 255 + margin) or (not whole and high <= 5):
        raise ValueError(
            "`images` must have values 0…255, neither scaled nor normalized yet. "
            f"Received: images[{index}] with values {low:.4g}…{high:.4g}"
        )
    return image.astype(np.uint8 if image.dtype.kind in "iu" else np.float32)


def _target(image: np.ndarray, resize: int | tuple[int, int]) -> tuple[int, int]:
    """Returns height and width after resizing, the longer side rounded as in torchvision."""
    if not isinstance(resize, int):
        return tuple(resize)
    height, width = image.shape[:2]
    short, long = min(height, width), max(height, width)
    if short == resize:
        return height, width
    new_long = int(resize * long / short)
    return (new_long, resize) if width <= height else (resize, new_long)


def _interpolated(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns the image resized as PyTorch's bilinear `interpolate` does, without antialiasing."""
    result = image.astype(np.float32)
    for axis, length in enumerate(size):
        count = image.shape[axis]
        scale = np.float32(count / length)
        place = scale * (np.arange(length, dtype=np.float32) + np.float32(0.5)) - np.float32(0.5)
        place = np.maximum(place, 0)
        first = np.minimum(place.astype(int), count - 1)
        share = (place - first).astype(np.float32).reshape(-1, *[1] * (2 - axis))
        second = np.minimum(first + 1, count - 1)
        result = (1 - share) * result.take(first, axis) + share * result.take(second, axis)
    if image.dtype == np.uint8:
        return np.rint(result).astype(np.uint8)
    return result


def _resized(image: np.ndarray, size: tuple[int, int], interpolation: str) -> np.ndarray:
    """Returns the image at a height and width."""
    new_height, new_width = size
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(
            "Resizing images needs Pillow: pip install 'keras-residual[data]'"
        ) from error
    # Pillow antialiases when downscaling; the published accuracies were measured with it.
    resample = Image.Resampling[interpolation.upper()]
    if image.dtype == np.uint8:
        return np.asarray(Image.fromarray(image).resize((new_width, new_height), resample))
    planes = [
        Image.fromarray(np.ascontiguousarray(image[..., channel])).resize(
            (new_width, new_height), resample
        )
        for channel in range(3)
    ]
    return np.stack([np.asarray(plane) for plane in planes], axis=-1)


def _cropped(image: np.ndarray, size: int) -> np.ndarray:
    height, width = image.shape[:2]
    if min(height, width) < size:
        raise ValueError(
            f"`images` must be at least {size} pixels high and wide. "
            f"Received: an image of {height}x{width}"
        )
    # Halves round to even, as in torchvision.
    top, left = round((height - size) / 2), round((width - size) / 2)
    return image[top : top + size, left : left + size]
