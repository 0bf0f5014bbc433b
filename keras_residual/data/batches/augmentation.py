"""The augmentation of training images, as one object for every way of making batches."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from keras_residual import _checks
from keras_residual.data.batches.functions import Steps, steps_of
from keras_residual.data.batches.randaugment import STRONGEST
from keras_residual.data.splits import ArraySplit, Split

_OF_SERIES = ("audio", "noise", "spec_augment")
NAMES = ("auto", "none", "shift", "cifar", "cifar_cutout", "imagenet", "photo", *_OF_SERIES)
# The kinds that crop a random window, with the smallest fraction of the area that it has.
_CROPS = {"imagenet": 0.08, "photo": 0.5}


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """The augmentation of the images of a training.

    Attributes:
        kind: One of
            `"none"`;
            `"shift"`, a random crop after padding an eighth of the side (4 at 32);
            `"cifar"`, that and a mirror image half of the time;
            `"cifar_cutout"`, that and a square of half the side set to 0;
            `"imagenet"`, a crop of 8 to 100 % of the area and aspect ratio 3/4 to 4/3, resized, and
            a mirror image half of the time;
            `"photo"`, the same with at least half of the area, and brightness and contrast changed
            by up to a fifth, for networks pretrained on photographs; digits and letters, whose
            `"auto"` is `"shift"`, are not mirrored;
            `"audio"`, recordings shifted in time, with some noise;
            `"noise"`, recordings with some noise, for transcripts: a shift may cut off a word;
            `"spec_augment"`, spectrograms with masked bands of time and of frequencies;
            `"auto"`, depending on the split: `"shift"` for digits and other small images of one
            channel, `"cifar"` for small ones in colour, `"imagenet"` for those larger than 64;
            or a preprocessing layer of Keras, a function of `image`, of `image` and `seed` or of
            `image` and `rng`, or a sequence of these, see `functions.Steps`.
        mixup: The α of mixup, see `mix`; `0` for none. Labels of mixed images are
            `(batch, classes)` float32, the share of each class.
        cutmix: The α of CutMix; `0` for none.
        classes: Number of classes, needed to mix.
        rand_augment: The magnitude of RandAugment, up to 10, see `rand_augment`; `0` for none. It
            follows the crop of `"imagenet"` and comes before the other augmentations.
        repeats: How often an epoch repeats each of its images, one after the other with different
            augmentation; an epoch keeps its length, so other images are left to other epochs.

    Raises:
        ValueError: If a value is none of the accepted.

    Example:

    >>> Augmentation(kind="cifar", mixup=0.2, classes=10).mixes
    True
    """

    kind: str | Callable[..., Any] | Sequence[Any] = "auto"
    mixup: float = 0.0
    cutmix: float = 0.0
    classes: int | None = None
    rand_augment: float = 0.0
    repeats: int = 1

    def __post_init__(self) -> None:
        if isinstance(self.kind, str):
            _checks.choice("augmentation", self.kind, NAMES)
        elif not isinstance(self.kind, Steps):
            object.__setattr__(self, "kind", steps_of(self.kind))
        _checks.real("mixup", self.mixup, 0, 1e6)
        _checks.real("cutmix", self.cutmix, 0, 1e6)
        _checks.real("rand_augment", self.rand_augment, 0, STRONGEST)
        _checks.integer("repeats", self.repeats)
        if self.classes is not None:
            _checks.integer("classes", self.classes)

    @property
    def mixes(self) -> bool:
        """Whether images are mixed with others."""
        return bool(self.mixup or self.cutmix)

    @property
    def steps(self) -> Steps | None:
        """The layers and functions that are applied to single images, if that is the kind."""
        return self.kind if isinstance(self.kind, Steps) else None

    def without_changes(self) -> "Augmentation":
        """Returns the augmentation that leaves images and labels unchanged."""
        return Augmentation(kind="none", classes=self.classes)

    @property
    def keeps_size(self) -> bool:
        """Whether images are not cropped to another size."""
        return self.kind not in _CROPS

    def crop_options(self, split: Split) -> dict[str, Any]:
        """Returns the arguments of `random_resized_crop`."""
        # Digits and letters lose their meaning when mirrored.
        mirror = self.kind != "photo" or split.augmentation != "shift"
        return {"smallest": _CROPS.get(self.kind, 1.0), "mirror": mirror}

    def of_split(self, split: Split) -> "Augmentation":
        """Returns the augmentation with `"auto"` resolved, after checking that it suits the split.

        Raises:
            ValueError: If it does not.
        """
        if self.mixes and self.classes is None:
            raise ValueError(
                "`classes` must be given for `mixup` and `cutmix`, which mix labels. "
                f"Received: classes=None, mixup={self.mixup!r}, cutmix={self.cutmix!r}"
            )
        _checks.integer("repeats", self.repeats, maximum=(2**31 - 1) // len(split))
        if len(split.image_shape) == 4:
            _check_for_clips(self)
        elif len(split.image_shape) != 3:
            _check_for_series(self)
        elif self.kind in _OF_SERIES:
            raise ValueError(
                f"`augmentation` {self.kind!r} is for recordings and spectrograms, not for images. "
                f"Received: augmentation={self.kind!r}"
            )
        if self.rand_augment:
            _check_for_rand_augment(split)
        return replace(self, kind=split.augmentation) if self.kind == "auto" else self


def augmentation_of(
    augmentation: str | Callable[..., Any] | Sequence[Any] | Augmentation, changes: dict[str, Any]
) -> Augmentation:
    """Returns an augmentation from a name or another augmentation, with some fields changed.

    Raises:
        TypeError: If a change is not a field of `Augmentation`.
        ValueError: If a value is none of the accepted.
    """
    fields = Augmentation.__dataclass_fields__
    if unknown := [name for name in changes if name not in fields or name == "kind"]:
        accepted = ", ".join(name for name in fields if name != "kind")
        raise TypeError(
            f"`{unknown[0]}` is neither an argument nor a field of `Augmentation`. "
            f"Accepted: {accepted}"
        )
    if isinstance(augmentation, Augmentation):
        return replace(augmentation, **changes)
    return Augmentation(kind=augmentation, **changes)


def _check_for_clips(augmentation: Augmentation) -> None:
    kind = augmentation.kind
    if kind not in ("auto", "none", "shift", "cifar", "cifar_cutout") or augmentation.rand_augment:
        raise ValueError(
            "`augmentation` of clips must be none, shift, cifar or cifar_cutout, without "
            f"`rand_augment`. Received: augmentation={kind!r}, "
            f"rand_augment={augmentation.rand_augment!r}"
        )


def _check_for_series(augmentation: Augmentation) -> None:
    fields = {"augmentation": augmentation.kind, "mixup": augmentation.mixup}
    fields |= {"cutmix": augmentation.cutmix, "rand_augment": augmentation.rand_augment}
    for name, value in fields.items():
        usual = isinstance(value, Steps) or value in ("auto", "none", *_OF_SERIES)
        if value and not usual:
            raise ValueError(f"`{name}` is for images, not for series. Received: {name}={value!r}")


def _check_for_rand_augment(split: Split) -> None:
    channels = split.image_shape[2]
    if channels not in (1, 3):
        raise ValueError(f"`rand_augment` takes images of 1 or 3 channels. Received: {channels}")
    if isinstance(split, ArraySplit) and (split.x.min() < 0 or split.x.max() > split.scale):
        raise ValueError(
            f"`rand_augment` takes pixels in [0, {split.scale:g}], where {split.scale:g} is white. "
            f"Received: pixels in [{split.x.min():g}, {split.x.max():g}]"
        )
