"""Creates the variables of a training before its first step."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_residual.training.replicas import replicas_of, scope_of, strategy_of


def build(model: keras.Model, x: Any, y: Any, sample_weight: Any = None) -> None:
    """Creates the variables of a compiled model's optimizer and metrics before its first step.

    Keras creates them inside the first training step. On TensorFlow that step is then traced a
    second time, which takes half of the time before a deep network begins to train. `training.fit`
    calls it automatically; before `model.fit` call it once. The metrics are reset.

    Args:
        model: A compiled model.
        x: Inputs of a batch, of which only the shape matters.
        y: Their labels.
        sample_weight: Their weights, if the batches have them.

    Example:

    >>> model.compile("adam", "sparse_categorical_crossentropy")  # doctest: +SKIP
    >>> training.build(model, x[:8], y[:8])  # doctest: +SKIP
    >>> model.fit(x, y)  # doctest: +SKIP
    """
    with scope_of(model):
        build_optimizer(model, model.optimizer, model.trainable_variables)
        outputs = _zeros_like_outputs(model, x)

        def measure():
            model.compute_loss(x=x, y=y, y_pred=outputs, sample_weight=sample_weight)
            model.compute_metrics(x, y, outputs, sample_weight)

        if replicas_of(model) > 1:
            strategy_of(model).run(measure)
        else:
            measure()
    model.reset_metrics()


def build_optimizer(
    model: keras.Model, optimizer: keras.optimizers.Optimizer, variables: Sequence[keras.Variable]
) -> None:
    """Creates the variables of an optimizer.

    TensorFlow creates a kernel per name and shape of a variable, which takes twice as long as all
    else. So the slots of a kind share TensorFlow's name; their Keras names are unchanged.

    Args:
        model: The model, whose strategy decides whether names may be shared.
        optimizer: The optimizer.
        variables: The variables that it will update.
    """
    if keras.backend.backend() != "tensorflow" or replicas_of(model) > 1:
        optimizer.build(variables)
        return
    import tensorflow as tf

    def named_by_kind(create, **options):
        return create(**{**options, "name": (options.get("name") or "").split("_")[-1] or None})

    with tf.variable_creator_scope(named_by_kind):
        optimizer.build(variables)


def _zeros_like_outputs(model, x):
    """Returns zeros with the shapes of the model's outputs for a batch."""
    known = getattr(model, "outputs", None)
    if known and len(known) == 1 and None not in known[0].shape[1:]:
        batch = keras.tree.flatten(x)[0].shape[0]
        return keras.ops.zeros((batch, *known[0].shape[1:]), known[0].dtype)
    inputs = keras.tree.map_structure(
        lambda part: keras.KerasTensor(part.shape, keras.backend.standardize_dtype(part.dtype)), x
    )
    specs = model.compute_output_spec(inputs)
    return keras.tree.map_structure(lambda spec: keras.ops.zeros(spec.shape, spec.dtype), specs)
