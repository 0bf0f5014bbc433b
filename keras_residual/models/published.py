"""Published weights in factories: the options and the input scaling that they require."""

from keras_residual.models.assembly import Variant
from keras_residual.models.inputs import checked_policy


def checked_scaling(include_preprocessing):
    """Returns `include_preprocessing` as a bool or a `weights.Preprocessing`, or raises."""
    if isinstance(include_preprocessing, bool):
        return include_preprocessing
    from keras_residual.weights import checked_inclusion

    return checked_inclusion(include_preprocessing)


def options_of_weights(weights, variant: Variant) -> dict[str, object]:
    """Returns the architecture options that published weights require."""
    if weights is None:
        return {}
    from keras_residual.weights import options_for_factory

    return options_for_factory(weights, variant)


def normalization(scaling, weights, variant, dtype, data_format, inputs):
    """Returns the layer that normalizes images with values 0…255 as `scaling` or `weights` say."""
    from keras_residual.weights import preprocessing_for_factory

    channels = inputs.shape[1] if data_format == "channels_first" else inputs.shape[-1]
    if scaling is True:
        scaling = preprocessing_for_factory(weights, variant)
    preprocessing = scaling.with_channels(channels)
    return preprocessing.layer(
        data_format=data_format, dtype=checked_policy(dtype), name="preprocessing"
    )
