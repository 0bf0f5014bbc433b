"""Fine-tuning: phases, frozen parts computed once, rates by layer, the best epoch."""

import dataclasses
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from training.tiny_training import EndAfter, StopBefore, assert_equal_weights

import keras_residual
from keras_residual import data, training
from keras_residual._description import read_from
from keras_residual.training import depth, frozen, kept_batches, phases
from keras_residual.training.best import BestEpoch, best_epoch, lowest
from keras_residual.training.progress import Progress

RECIPE = dataclasses.replace(
    training.recipes["fine_tune"],
    batch_size=8, head_epochs=2, epochs=5, versions=2, least_steps=0, least_factor=0.0,
    augmentation="shift", learning_rate=1e-2, layer_decay=0.5,
)  # fmt: skip


def network(execution="unrolled", **options):
    keras.utils.set_random_seed(0)
    return keras_residual.ResNet(
        "basic", (2, 3), (4, 8), stem="conv3", stem_width=4, input_shape=(8, 8, 1), classes=3,
        execution=execution, **options,
    )  # fmt: skip


def dataset():
    y = np.arange(48, dtype=np.int32) % 3
    noise = np.random.default_rng(0).integers(0, 64, (48, 8, 8, 1))
    x = (noise + 80 * y[:, None, None, None]).astype(np.uint8)
    return data.load((x, y, x[:15], y[:15]))


def fit(model, output, recipe=RECIPE, **options):
    return training.fit(
        model, dataset(), recipe, output, verbose=0, **{"checkpoint_seconds": 0, **options}
    )


def weights_of(model, *names):
    return [
        keras.ops.convert_to_numpy(weight)
        for name in names
        for weight in model.get_layer(name).weights
    ]


def changed(before, after):
    return [not np.array_equal(a, b) for a, b in zip(before, after, strict=True)]


def test_the_head_trains_first_and_then_the_rest(tmp_path):
    model = network()
    body = ("stem", "stage1", "stage2")
    before, head = weights_of(model, *body), weights_of(model, "classifier")
    fit(model, tmp_path / "head", epochs=2)
    assert not any(changed(before, weights_of(model, *body)))
    assert all(changed(head, weights_of(model, "classifier")))
    model = network()
    history = fit(model, tmp_path / "all")
    assert len(history["loss"]) == 5 and history["val_loss"][-1] < history["val_loss"][0]
    kernels = [w.ndim == 4 for w in before]
    assert changed(before, weights_of(model, *body)) == kernels


def test_frozen_layers_stay_and_are_computed_once(tmp_path, monkeypatch):
    computed = []
    whole = frozen.make_forward

    def counting(part):
        forward = whole(part)
        return lambda inputs: computed.append((part.output.shape, len(inputs))) or forward(inputs)

    monkeypatch.setattr(frozen, "make_forward", counting)
    model = network()
    before = weights_of(model, "stem", "stage1")
    kernel = weights_of(model, "stage2")
    fit(model, tmp_path, freeze="stage1", epochs=9)
    assert not any(changed(before, weights_of(model, "stem", "stage1")))
    assert any(changed(kernel, weights_of(model, "stage2")))
    images = {}
    for shape, count in computed:
        images[shape] = images.get(shape, 0) + count
    # Two versions of 48 images and 15 held-out ones, however many epochs there are; the frozen part
    # of the second phase is not half of the network's depth, so that it is not kept.
    assert images == {(None, 8): 2 * 48 + 15}


def test_a_deep_frozen_part_is_kept(tmp_path):
    planned = phases.plan(network(), dataclasses.replace(RECIPE, freeze="stage2"), 9)
    assert [(p.until, p.start, p.stop, p.versions) for p in planned] == [
        ("pool", 0, 2, 2),
        ("stage2", 2, 9, 2),
    ]


def test_kept_outputs_train_alike_without_augmentation(tmp_path):
    """With one version and no augmentation, keeping outputs changes only the order of images."""
    plain = dataclasses.replace(
        RECIPE, augmentation="none", batch_size=48, freeze="stage2", head_epochs=0, versions=1
    )
    kept, computed = network(), network()
    fit(kept, tmp_path / "kept", plain)
    fit(computed, tmp_path / "computed", dataclasses.replace(plain, versions=0))
    # In bfloat16, frozen outputs differ by a percent.
    for one, other in zip(kept.get_weights(), computed.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=0.03)


def test_least_factor_freezes_what_would_hardly_move():
    recipe = dataclasses.replace(RECIPE, least_factor=0.1)
    # Head 1, stage2 0.5, 0.25, 0.125, stage1 0.0625 and less.
    assert phases.plan(network(), recipe, 5)[-1].until == "stage1"


@pytest.mark.parametrize("execution", ["unrolled", "scanned"])
def test_rates_fall_from_block_to_block(execution):
    model = network(execution)
    factors = depth.rate_factors(model, 0.5)
    by_path = {v.path: f for v, f in zip(model.trainable_variables, factors, strict=True)}
    assert by_path["classifier/kernel"] == 1
    assert by_path["stage2/first/conv1/conv/kernel"] == 0.5**3
    assert by_path["stage1/first/conv1/conv/kernel"] == 0.5**5
    assert by_path["stem/conv1/conv/kernel"] == 0.5**6
    equal = {path: factor for path, factor in by_path.items() if path.startswith("stage2/equal")}
    if execution == "scanned":
        assert set(map(tuple, equal.values())) == {(0.25, 0.5)}
    else:
        assert set(equal.values()) == {0.25, 0.5}


@pytest.mark.parametrize("execution", [pytest.param("unrolled", marks=pytest.mark.slow), "scanned"])
def test_normalizations_stay_as_they_are(tmp_path, execution):
    model = network(execution)

    def norms():
        return {
            w.path: keras.ops.convert_to_numpy(w).copy() for w in model.weights if "norm" in w.path
        }

    before = norms()
    fit(model, tmp_path)
    after = norms()
    assert before and all(np.array_equal(before[path], after[path]) for path in before)
    assert all(layer.trainable for layer in model.layers)
    history = training.fit(model, dataset(), "quick", tmp_path / "quick", epochs=1, verbose=0)
    assert np.isfinite(history["loss"][0])
    assert not all(np.array_equal(before[path], norms()[path]) for path in before)


@pytest.mark.parametrize("spoiled", [1, 4])
def test_the_best_epoch_is_put_back(tmp_path, spoiled):
    model = network()

    class Spoil(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.epoch = epoch

        def on_test_begin(self, logs=None):
            if self.epoch >= spoiled:
                kernel = model.get_layer("classifier").kernel
                kernel.assign(-10 * keras.ops.abs(kernel) * [1, -1, 1])

    history = fit(model, tmp_path, callbacks=[Spoil()])
    best = int(np.argmin(history["val_loss"]))
    assert best < spoiled
    model.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    x = dataset().test.x / np.float32(255)
    found = model.evaluate(x, dataset().test.y, verbose=0, return_dict=True)["accuracy"]
    assert found == pytest.approx(history["val_accuracy"][best])
    saved = keras.saving.load_model(tmp_path / "model.keras")
    assert_equal_weights(saved, model)


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"no weights")])
def test_lost_weights_of_the_best_epoch_are_told_of(tmp_path, damage):
    """They are read at the end; the last weights must not pass for them."""
    progress = Progress({}, [{"epoch": 1, "loss": 1.0, "val_loss": 0.5, "seconds": 1.0}])
    best = BestEpoch(network(), tmp_path, progress)
    best.whole.save_weights(tmp_path / "best.weights.h5")
    best.put_in_place()
    damage(tmp_path / "best.weights.h5")
    with pytest.raises(training.CheckpointError, match=r"best\.weights\.h5 with the weights of"):
        best.put_in_place()


def test_an_epoch_without_a_finite_loss_is_not_the_best():
    rows = [{"epoch": n, "val_loss": v} for n, v in enumerate((np.nan, 3.0, 2.0, np.inf), 1)]
    assert best_epoch(rows) == 3 and lowest(rows) == 2.0
    assert best_epoch(rows[:1]) is None and lowest(rows[:1]) == np.inf


@pytest.mark.parametrize("epoch", [1, pytest.param(2, marks=pytest.mark.slow), 3])
def test_interrupted_it_ends_with_the_same_weights(tmp_path, epoch):
    whole, resumed = network(), network()
    fit(whole, tmp_path / "whole", freeze="stage2")
    with pytest.raises(KeyboardInterrupt):
        fit(resumed, tmp_path / "cut", freeze="stage2", callbacks=[StopBefore(epoch)])
    assert training.finished_epochs(tmp_path / "cut") == epoch
    again = network()
    fit(again, tmp_path / "cut", freeze="stage2")
    assert_equal_weights(again, whole)
    assert not (tmp_path / "cut" / ".frozen").exists()


def test_another_rate_by_layer_is_another_training(tmp_path):
    fit(network(), tmp_path, epochs=3)
    with pytest.raises(training.CheckpointError, match="layer_decay"):
        fit(network(), tmp_path, epochs=3, layer_decay=0.9)


def test_it_ends_where_a_callback_ends_it(tmp_path):
    history = fit(network(), tmp_path, callbacks=[EndAfter(1)])
    assert len(history["loss"]) == 1


def test_averaged_weights_do_not_go_with_phases(tmp_path):
    with pytest.raises(ValueError, match=r"`ema` must be 0.*Received: ema=0.999"):
        fit(network(), tmp_path, "modern", freeze="stage1")


def test_unknown_layers_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"Unknown layer to freeze: 'stage9'.*stage1"):
        fit(network(), tmp_path, freeze="stage9")


@pytest.mark.slow
def test_large_outputs_are_kept_in_a_file(tmp_path, monkeypatch):
    whole = network()
    fit(whole, tmp_path / "memory", freeze="stage2")
    monkeypatch.setattr(frozen, "IN_MEMORY", 1000)
    filed = network()
    fit(filed, tmp_path / "file", freeze="stage2")
    for one, other in zip(filed.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_each_epoch_has_another_version():
    outputs = frozen.Outputs(np.arange(12.0)[:, None], np.arange(12), versions=3)
    batches = kept_batches.kept_batches(outputs, 4, training=True, seed=1)
    first, second = (np.concatenate(batches.order(epoch)).ravel() for epoch in (0, 4))
    assert sorted(first) == [0, 1, 2, 3] and sorted(second) == [4, 5, 6, 7]
    held_out = kept_batches.kept_batches(outputs, 5, training=False)
    assert [part.shape for part in held_out.order(0)] == [(1, 4)]


def test_layerwise_optimizers_scale_updates_and_decay(tmp_path):
    for name, kind in (("sgd", training.LayerwiseSGD), ("adamw", training.LayerwiseAdamW)):
        ones = [keras.Variable(np.ones((2, 3)), name="kernel") for _ in range(2)]
        optimizer = kind(0.1, factors=[1.0, [0.5, 0.0]], decay=0.1)
        optimizer.build(ones)
        optimizer.apply([keras.ops.ones((2, 3))] * 2, ones)
        full, part = (1 - keras.ops.convert_to_numpy(one) for one in ones)
        np.testing.assert_allclose(part[0], full[0] / 2, rtol=1e-5, err_msg=name)
        np.testing.assert_allclose(part[1], 0, atol=1e-7, err_msg=name)
        config = json.loads(json.dumps(keras.optimizers.serialize(optimizer)))
        again = keras.optimizers.deserialize(config)
        assert again.factors == optimizer.factors and again.decay == optimizer.decay


def test_factors_must_fit():
    optimizer = training.LayerwiseSGD(0.1, factors=[1.0])
    with pytest.raises(ValueError, match="1 factors for 2 variables"):
        optimizer.build([keras.Variable(np.ones(2)), keras.Variable(np.ones(2))])


def test_the_model_says_what_it_takes(tmp_path):
    model = network()
    training.fit(model, dataset(), "quick", tmp_path, epochs=1, verbose=0)
    for name in ("model.keras", "checkpoint.keras"):
        description = read_from(tmp_path / name)
        assert description.task == "classification" and description.white == 1.0
        assert description.class_names == ("0", "1", "2")
        assert (description.fit, description.crop) == ("crop", 1.0)


@pytest.mark.parametrize("image_size", [None, 12])
def test_the_first_version_has_the_images_as_they_are(image_size):
    batches, _ = dataset().batches(batch_size=8, image_size=image_size, augmentation="cifar")
    plain = frozen.source(batches.unaugmented(), 6)
    images, labels = (np.concatenate(part) for part in zip(*map(arrays, plain(0)), strict=True))
    x, y = dataset().train.x / np.float32(255), dataset().train.y
    assert images.shape == (48, image_size or 8, image_size or 8, 1)
    if image_size is None:
        order = np.lexsort(images.reshape(48, -1).T), np.lexsort(x.reshape(48, -1).T)
        np.testing.assert_allclose(images[order[0]], x[order[1]], rtol=1e-6)
        np.testing.assert_array_equal(labels[order[0]], y[order[1]])
    mixed, _ = dataset().batches(batch_size=8, mixup=0.2)
    assert np.ndim(next(iter(frozen.source(mixed, 6)(0)))[1]) == 2


def arrays(batch):
    return [frozen.to_numpy(part) for part in batch]
