"""The training step of `model.fit` as one TensorFlow function."""

import keras

from keras_residual.training.replicas import strategy_of


def flatten_step(model: keras.Model) -> None:
    """Makes `model.fit` run its training step as one traced function.

    Keras traces the step inside a second function that takes the batch from the iterator: each of
    the step's thousands of variables is then an argument of both. The values are the same. Nothing
    changes on other backends, under `tf.distribute`, if the step is run eagerly, compiled by XLA or
    run several times per call, or if the model makes its own function.

    Args:
        model: A compiled model; its `train_function` is set.
    """
    own = type(model).make_train_function is not keras.Model.make_train_function
    if keras.backend.backend() != "tensorflow" or own:
        return
    if model.run_eagerly or model.jit_compile or model.steps_per_execution != 1:
        return
    import tensorflow as tf

    if tf.distribute.has_strategy() or strategy_of(model) is not tf.distribute.get_strategy():
        return
    model.make_train_function()
    plain, traced = model.train_function, []

    @tf.function(autograph=False, reduce_retracing=True)
    def step(data):
        return model.train_step(data)

    def run(iterator):
        spec = getattr(iterator, "element_spec", None)
        if not all(isinstance(part, tf.TensorSpec) for part in tf.nest.flatten(spec)):
            return plain(iterator)
        if not traced:
            # For batches of any size if the last may be smaller, as Keras traces it.
            traced.append(step.get_concrete_function(spec))
        return step(next(iterator))

    model.train_function = run
