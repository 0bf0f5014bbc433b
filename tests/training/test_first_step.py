"""The first step is traced once, and its updates are those of Keras to the last bit."""

import itertools

import keras
import numpy as np
import pytest
from training.tiny_training import fit, residual_model, tiny_model

import keras_residual
from keras_residual import training
from keras_residual.training.flat_step import flatten_step
from keras_residual.training.updates import fuse_updates
from keras_residual.training.variables import build_optimizer

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="other backends trace no updates"
)
X = np.random.default_rng(0).random((12, 8, 8, 1)).astype("float32")
Y = np.arange(12) % 3


def traced(model):
    """Counts how often a training step is traced."""
    step, count = model.train_step, []
    model.train_step = lambda data: count.append(1) or step(data)
    return count


def test_model_fit_traces_its_step_once():
    model = tiny_model()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    training.build(model, X, Y)
    count = traced(model)
    model.fit(X, Y, verbose=0)
    assert len(count) == 1


def test_building_leaves_weights_and_metrics_as_they_are():
    model = residual_model()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy", "auc"][:1])
    before = model.get_weights()
    training.build(model, X, Y, np.ones(12, "float32"))
    for ours, theirs in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert model.optimizer.built and model.metrics_variables
    assert not any(np.asarray(variable).any() for variable in model.metrics_variables)


def test_building_a_model_of_several_outputs_and_of_any_size():
    inputs = keras.Input((None, None, 1))
    pooled = keras.layers.GlobalAveragePooling2D()(inputs)
    heads = {name: keras.layers.Dense(2, name=name)(pooled) for name in "ab"}
    model = keras.Model(inputs, {**heads, "map": keras.layers.Conv2D(1, 1, name="map")(inputs)})
    model.compile("sgd", "mse", metrics={"a": ["mae"]})
    targets = {"a": np.zeros((12, 2)), "b": np.zeros((12, 2)), "map": np.zeros((12, 8, 8, 1))}
    training.build(model, X, targets)
    count = traced(model)
    model.train_on_batch(X, targets)
    assert len(count) == 1


@pytest.mark.parametrize("way", ["in the step", "pipeline"])
def test_training_fit_traces_its_step_once(tmp_path, way):
    model = tiny_model()
    count = traced(model)
    if way == "pipeline":
        fit(model, tmp_path, epochs=2)
    else:
        training.fit(model, ((X, Y), (X, Y)), "quick", tmp_path, epochs=2, verbose=0)
    assert len(count) == 1


def images(*batches):
    """A data set of batches of these sizes."""
    import tensorflow as tf

    starts = np.cumsum([0, *batches])
    pairs = list(itertools.pairwise(starts))
    spec = (tf.TensorSpec((None, 8, 8, 1)), tf.TensorSpec((None,), tf.int64))
    made = tf.data.Dataset.from_generator(
        lambda: ((X[a:b], Y[a:b]) for a, b in pairs), output_signature=spec
    )
    return made.apply(tf.data.experimental.assert_cardinality(len(pairs)))


def test_a_flat_step_computes_what_the_step_of_keras_does():
    found = []
    for flat in (True, False):
        model = residual_model()
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        training.build(model, X, Y)
        count = traced(model)
        if flat:
            flatten_step(model)
        history = model.fit(images(5, 5, 2), epochs=3, shuffle=False, verbose=0).history
        assert len(count) == 1  # with the smaller last batch
        values = [np.asarray(v) for v in (*model.weights, *model.optimizer.variables)]
        found.append((*values, history["loss"], history["accuracy"]))
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_array_equal(ours, theirs)


class OwnFunction(keras.Model):
    def make_train_function(self, force=False):
        self.train_function = lambda iterator: {"loss": 0.0 * len(next(iterator))}


@pytest.mark.parametrize("options", [{"run_eagerly": True}, {"steps_per_execution": 2}], ids=str)
def test_steps_that_are_called_otherwise_are_left_to_keras(options):
    model = tiny_model()
    model.compile("adam", "sparse_categorical_crossentropy", **options)
    flatten_step(model)
    assert model.train_function is None
    own = OwnFunction(model.inputs, model.outputs)
    own.compile("adam", "sparse_categorical_crossentropy")
    flatten_step(own)
    assert own.fit(X, Y, verbose=0).history["loss"] == [0.0]


def test_sparse_batches_are_left_to_keras():
    import tensorflow as tf

    inputs = keras.Input((64,), sparse=True)
    model = keras.Model(inputs, keras.layers.Dense(3, "softmax")(inputs))
    model.compile("sgd", "sparse_categorical_crossentropy")
    flatten_step(model)
    batches = tf.data.Dataset.from_tensor_slices((X.reshape(12, 64), Y)).batch(6)
    model.fit(batches.map(lambda x, y: (tf.sparse.from_dense(x), y)), shuffle=False, verbose=0)


def test_slots_share_a_name_of_tensorflow_and_keep_those_of_keras():
    model = residual_model()
    model.compile("adam", "mse")
    build_optimizer(model, model.optimizer, model.trainable_variables)
    slots = model.optimizer.variables[2:]
    assert len({slot.path for slot in slots}) == len(slots) == 2 * len(model.trainable_variables)
    assert {slot.value.name.split("/")[-1] for slot in slots} == {"momentum:0", "velocity:0"}
    model.optimizer.variables[2].assign_add(np.ones(slots[0].shape))
    assert [np.asarray(slot).any() for slot in slots] == [True] + [False] * (len(slots) - 1)


@pytest.mark.parametrize("recipe", ["quick", "fine_tune"])
def test_slots_of_every_training_share_a_name(tmp_path, recipe):
    model = residual_model()
    training.fit(model, ((X, Y), (X, Y)), recipe, tmp_path, epochs=1, verbose=0)
    slots = [slot for slot in model.optimizer.variables if len(slot.shape) > 0]
    names = [slot.value.name for slot in slots]
    assert len(set(names)) == 2 < len(names)


@pytest.mark.parametrize("most", [2000, 1])
def test_graphs_of_short_trainings_are_run_as_they_are_traced(most, monkeypatch):
    import tensorflow as tf

    from keras_residual.training import quick_start

    def disabled():
        options = tf.config.optimizer.get_experimental_options()
        return options.get("disable_meta_optimizer", False)

    found = []
    seen = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: found.append(disabled()))
    monkeypatch.setattr(quick_start, "_MOST_STEPS", most)
    before = disabled()
    training.fit(tiny_model(), ((X, Y), None), "quick", None, epochs=2, verbose=0, callbacks=[seen])
    assert found == [most > 2] * 2 and disabled() == before


def trained(optimizer, eagerly=False, **options):
    keras.utils.set_random_seed(0)
    model = residual_model(**options)
    loss = "sparse_categorical_crossentropy"
    model.compile(optimizer, loss, jit_compile=False, run_eagerly=eagerly)
    model.optimizer.build(model.trainable_variables)
    for _ in range(8):
        model.train_on_batch(X, Y)
    return [np.asarray(v) for v in (*model.weights, *model.optimizer.variables)]


OPTIMIZERS = {
    "adam": lambda: keras.optimizers.Adam(0.01),
    "adam, averaged": lambda: keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.8),
    "adam, schedule": lambda: keras.optimizers.Adam(training.OneCycle(0.02, 10, 3)),
    "sgd": lambda: keras.optimizers.SGD(0.05, 0.9),
    "nesterov, averaged": lambda: keras.optimizers.SGD(0.05, 0.9, nesterov=True, use_ema=True),
    # What an update is not fused for stays Keras' own.
    "plain sgd": lambda: keras.optimizers.SGD(0.05),
    "clipped": lambda: keras.optimizers.Adam(0.01, global_clipnorm=0.1),
    "accumulated": lambda: keras.optimizers.SGD(0.1, 0.9, gradient_accumulation_steps=2),
    "amsgrad": lambda: keras.optimizers.Adam(0.01, amsgrad=True),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_fused_updates_are_those_of_keras(name):
    plain, fused = OPTIMIZERS[name](), OPTIMIZERS[name]()
    fuse_updates(fused)
    for ours, theirs in zip(trained(fused), trained(plain), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_small_variables_of_one_shape_are_updated_together():
    import tensorflow as tf

    model = keras.Sequential([keras.Input((4,)), *(keras.layers.Dense(4) for _ in range(6))])
    optimizer, variables = keras.optimizers.Adam(), model.trainable_variables
    fuse_updates(optimizer)
    optimizer.build(variables)
    update = tf.function(lambda *grads: optimizer.apply(grads, variables), autograph=False)
    graph = update.get_concrete_function(*(tf.TensorSpec(v.shape) for v in variables)).graph
    roots = [operation for operation in graph.get_operations() if operation.type == "Sqrt"]
    assert len(roots) == 3  # of the kernels, of the biases, and of the bias correction


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
@pytest.mark.parametrize("dtype", ["float32", "mixed_float16"])
def test_recipes_decay_as_keras_does(kind, dtype):
    recipe = training.Recipe(kind, 0.02, weight_decay=0.1, nesterov=True, ema=0.9)
    plain, fused = recipe.make_optimizer(100), recipe.make_optimizer(100)
    plain.apply = type(plain).apply.__get__(plain)
    assert {**fused.get_config(), "name": ""} == {**plain.get_config(), "name": ""}
    # Graphs are rewritten: in one the product of rate and decay may be rounded differently.
    ours, theirs = (trained(optimizer, True, dtype=dtype) for optimizer in (fused, plain))
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


def test_frozen_variables_and_constraints_are_kept():
    def model():
        keras.utils.set_random_seed(0)
        inputs = keras.Input((4,))
        x = keras.layers.Dense(4, kernel_constraint="non_neg", name="a")(inputs)
        return keras.Model(inputs, keras.layers.Dense(3, name="b")(x))

    weights = []
    for fuse in (True, False):
        one = model()
        one.get_layer("b").trainable = False
        optimizer = keras.optimizers.Adam(0.1)
        if fuse:
            fuse_updates(optimizer)
        one.compile(optimizer, "mse")
        one.fit(np.ones((8, 4)), np.ones((8, 3)), epochs=3, verbose=0, shuffle=False)
        weights.append(one.get_weights())
    for ours, theirs in zip(*weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert (weights[0][0] >= 0).all()


def test_a_saved_optimizer_is_that_of_keras(tmp_path):
    model = keras_residual.ResNet8(input_shape=(8, 8, 1), classes=3)
    model.compile(training.recipes["quick"].make_optimizer(10), "sparse_categorical_crossentropy")
    model.train_on_batch(X, Y)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.optimizer) is keras.optimizers.AdamW
    for ours, theirs in zip(loaded.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))
