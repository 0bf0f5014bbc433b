"""A network with published weights and a new head."""

from typing import Any

import keras

from keras_residual import _checks
from keras_residual._description import Description, describe
from keras_residual._types import Identifier
from keras_residual.models.inputs import checked_input_shape, checked_policy
from keras_residual.models.registry import find_variant, get_model

# The value of a white pixel for the layers that normalize images for published weights.
_WHITE = 255.0


def pretrained_classifier(
    name: str,
    weights: object,
    classes: int,
    input_shape: tuple[int | None, int | None, int],
    *,
    white: float = 1.0,
    scaling: Any = None,
    classifier_activation: Identifier | None = "softmax",
    dtype: str | keras.DTypePolicy | None = None,
    **options: Any,
) -> keras.Model:
    """Returns a network with published weights, a new head, and the scaling of pixels inside.

    It takes pixels between 0 and `white`, as `data.pipeline` delivers them, and scales them as the
    weights expect, so that the model can be trained, saved and exported by itself.

    Args:
        name: Name of a network, as `list_models` gives them.
        weights: As in `weights.load`: `"imagenet"`, a tag such as `"ResNet50.IMAGENET1K_V2"`, a
            path, a URL or `"hf://owner/name"`. The file's classifier is ignored.
        classes: Positive integer, number of classes of the new head.
        input_shape: `(height, width, channels)`, sizes may be `None`.
        white: Positive number, the value of a white pixel in the input. Defaults to `1`.
        scaling: `"caffe"`, `"tf"`, `"torch"` or a `weights.Preprocessing`, for weights whose
            scaling of pixels is not known. Defaults to that of the weights.
        classifier_activation: Activation of the head. Defaults to `"softmax"`.
        dtype: Dtype policy or its name.
        **options: Options of the network, see its factory.

    Returns:
        A `keras.Model` from `(batch, height, width, channels)` to `(batch, classes)`.

    Raises:
        ValueError: If the weights do not fit the network, or their scaling of pixels is unknown.

    Example:

    >>> model = pretrained_classifier("resnet50", "imagenet", 10, (224, 224, 3))  # doctest: +SKIP
    """
    from keras_residual.weights import source_of

    variant = find_variant(name)
    if variant.classes is None:
        raise ValueError(f"`name` must be that of a classifier. Received: name={name!r}")
    classes = _checks.integer("classes", classes)
    policy = checked_policy(dtype)
    images = keras.Input(checked_input_shape(input_shape, "channels_last"), name="image")
    levels = images
    if _checks.real("white", white, 1e-6, 1e6) != _WHITE:
        # In float32, because half precision would round the pixel values.
        layer = keras.layers.Rescaling(_WHITE / white, name="levels", dtype="float32")
        levels = layer(images)
    body = get_model(
        name,
        include_top=False,
        pooling="avg",
        weights=weights,
        input_tensor=levels,
        include_preprocessing=True if scaling is None else scaling,
        dtype=policy,
        data_format="channels_last",
        **options,
    )
    # Probabilities of many classes need more precision than 16 bits.
    head = keras.layers.Dense(
        classes,
        activation=classifier_activation,
        dtype=policy.variable_dtype,
        name="classifier",
    )
    model = keras.Model(images, head(body.output), name=body.name)
    source = source_of(body)
    description = Description(
        task="classification",
        white=white,
        fit="crop",
        weights=source and source.name,
        licence=source and source.licence,
    )
    describe(model, description)
    return model
