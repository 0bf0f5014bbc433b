"""Weights of `ResidualLSTM`: names, initial values, copies from and to Keras and PyTorch."""

import keras
import numpy as np
import pytest
from support import ramp, to_numpy

from keras_residual.layers.lstm.residual_lstm import ResidualLSTM


def test_weights_are_kernel_recurrent_kernel_and_bias_of_each_layer():
    layer = ResidualLSTM(4, num_layers=3, name="stack", stateful=True)
    layer.build((2, None, 3))
    expected = [
        f"stack/layer_{i}/{name}"
        for i in range(3)
        for name in ("kernel", "recurrent_kernel", "bias")
    ]
    assert [weight.path for weight in layer.trainable_weights] == expected
    assert [w.shape for w in layer.get_lstm_weights(1)] == [(4, 16), (4, 16), (16,)]


def test_states_stay_out_of_saved_weights(tmp_path):
    stateful = ResidualLSTM(4, num_layers=2, stateful=True)
    model = keras.Sequential([keras.Input((None, 3), batch_size=2), stateful])
    model(ramp(2, 5, 3))
    model.save_weights(tmp_path / "weights.weights.h5")
    stateless = keras.Sequential([keras.Input((None, 3)), ResidualLSTM(4, num_layers=2)])
    stateless.load_weights(tmp_path / "weights.weights.h5")
    stateful.reset_state()
    np.testing.assert_allclose(
        to_numpy(stateless(ramp(2, 5, 3))), to_numpy(model(ramp(2, 5, 3))), rtol=1e-6
    )


def test_layers_start_from_different_weights_with_the_forget_gate_open():
    layer = ResidualLSTM(4, num_layers=3, kernel_initializer=keras.initializers.GlorotNormal(1))
    layer.build((None, None, 4))
    kernels = [layer.get_lstm_weights(i)[0] for i in range(3)]
    assert not np.allclose(kernels[0], kernels[1])
    assert not np.allclose(kernels[1], kernels[2])
    np.testing.assert_array_equal(layer.get_lstm_weights(2)[2], np.repeat([0, 1, 0, 0], 4))


def test_weights_go_to_keras_layers_and_come_back():
    ours = ResidualLSTM(4, num_layers=3, bidirectional_bottom=True, first_residual=2)
    again = ResidualLSTM(4, num_layers=3, bidirectional_bottom=True, first_residual=2)
    for layer in (ours, again):
        layer.build((None, None, 3))
    theirs = [keras.layers.Bidirectional(keras.layers.LSTM(4)), *map(keras.layers.LSTM, (4, 4))]
    theirs[0].build((None, None, 3))
    ours.copy_to_keras(theirs)
    again.copy_from_keras(theirs)
    for received, expected in zip(again.get_weights(), ours.get_weights(), strict=True):
        np.testing.assert_array_equal(received, expected)


def test_weights_come_from_torch_modules_and_go_back():
    torch = pytest.importorskip("torch", reason="PyTorch is the extra `torch`")
    modules = [torch.nn.LSTM(3, 4, batch_first=True), torch.nn.LSTM(4, 4, batch_first=True)]
    layer = ResidualLSTM(4, num_layers=2, return_sequences=True)
    layer.build((None, None, 3))
    layer.copy_from_torch(modules)
    x = ramp(2, 5, 3)
    with torch.no_grad():
        first = modules[0].cpu()(torch.tensor(x))[0]
        expected = (first + modules[1].cpu()(first)[0]).numpy()
    np.testing.assert_allclose(to_numpy(layer(x)), expected, atol=1e-6)

    single = torch.nn.LSTM(3, 4, num_layers=2)
    layer.copy_to_torch(single)
    other = ResidualLSTM(4, num_layers=2)
    other.build((None, None, 3))
    other.copy_from_torch(single.state_dict())
    for received, weight in zip(other.get_weights(), layer.get_weights(), strict=True):
        np.testing.assert_allclose(received, weight, atol=1e-7)


def test_weights_of_a_bidirectional_torch_module_fit_the_bottom():
    torch = pytest.importorskip("torch", reason="PyTorch is the extra `torch`")
    modules = [torch.nn.LSTM(3, 4, bidirectional=True), torch.nn.LSTM(8, 4)]
    layer = ResidualLSTM(4, num_layers=2, first_residual=2, bidirectional_bottom=True)
    layer = ResidualLSTM.from_config({**layer.get_config(), "return_sequences": True})
    layer.build((None, None, 3))
    layer.copy_from_torch(modules)
    x = ramp(5, 2, 3)
    with torch.no_grad():
        expected = modules[1].cpu()(modules[0].cpu()(torch.tensor(x))[0])[0].numpy()
    np.testing.assert_allclose(
        to_numpy(layer(x.transpose(1, 0, 2))), expected.transpose(1, 0, 2), atol=1e-6
    )


def built(**options):
    layer = ResidualLSTM(4, **{"num_layers": 2, **options})
    layer.build((None, None, 3))
    return layer


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda layer: layer.get_lstm_weights(2),
            "`index` must be .* at most 1. Received: index=2",
        ),
        (lambda layer: layer.get_lstm_weights(0, backward=True), "needs a bidirectional layer"),
        (
            lambda layer: layer.set_lstm_weights(0, [np.ones((4, 16))] * 3),
            r"`weights` of layer 0 must have the shapes \[\(3, 16\)",
        ),
        (lambda layer: layer.set_lstm_weights(0, None), "`weights` must be a list"),
        (
            lambda layer: layer.copy_from_keras([keras.layers.LSTM(4)]),
            "`lstms` must be a list of 2",
        ),
        (
            lambda layer: layer.copy_from_keras([keras.layers.GRU(4)] * 2),
            r"`lstms\[0\]` must be a keras.layers.LSTM. Received: <GRU",
        ),
        (
            lambda layer: layer.copy_from_keras([keras.layers.LSTM(4)] * 2),
            r"`lstms\[0\]` has no weights yet",
        ),
        (lambda layer: layer.copy_from_torch(3), "`source` must be a torch.nn.LSTM"),
        (
            lambda layer: layer.copy_from_torch({"weight": np.ones((2, 2))}),
            r"weight_ih_l0 missing for \(16, 3\)",
        ),
        (
            lambda layer: layer.copy_to_torch({"weight_ih_l0": np.ones((2, 2))}),
            "`target` must hold PyTorch tensors",
        ),
    ],
)
def test_weights_that_do_not_fit_are_named(call, message):
    with pytest.raises(ValueError, match="has no weights yet"):
        ResidualLSTM(4).get_lstm_weights(0)
    with pytest.raises(ValueError, match=message):
        call(built())


def test_numbers_of_numpy_are_indices():
    assert len(built().get_lstm_weights(np.int64(1))) == 3


def keras_lstms(*units, **options):
    layers = [keras.layers.LSTM(width, **options) for width in units]
    for features, layer in zip((3, *units), layers, strict=False):
        layer.build((2, None, features))
    return layers


@pytest.mark.parametrize(
    ("theirs", "message"),
    [
        (lambda: keras_lstms(4, 5), r"weights of `lstms\[1\]` must have the shapes \[\(4, 16\)"),
        (lambda: keras_lstms(4, 4, use_bias=False), r"`lstms\[0\]` must have the shapes"),
        (
            lambda: [*keras_lstms(4), keras.layers.GRU(4)],
            r"`lstms\[1\]` must be a keras.layers.LSTM",
        ),
    ],
)
def test_nothing_is_copied_where_one_keras_layer_does_not_fit(theirs, message):
    ours, theirs = built(), theirs()
    before = [layer.get_weights() for layer in (ours, *theirs)]
    for copy in (ours.copy_from_keras, ours.copy_to_keras):
        with pytest.raises(ValueError, match=message):
            copy(theirs)
    after = [layer.get_weights() for layer in (ours, *theirs)]
    keras.tree.map_structure(np.testing.assert_array_equal, after, before)


def test_a_keras_layer_that_is_not_built_is_checked_before_the_first_copy():
    ours, first = built(), keras_lstms(4)
    before = first[0].get_weights()
    with pytest.raises(ValueError, match=r"`lstms\[1\]` must have the shapes"):
        ours.copy_to_keras([*first, keras.layers.LSTM(5)])
    keras.tree.map_structure(np.testing.assert_array_equal, first[0].get_weights(), before)
    second = keras.layers.LSTM(4)
    ours.copy_to_keras([*first, second])
    keras.tree.map_structure(
        np.testing.assert_array_equal, second.get_weights(), ours.get_lstm_weights(1)
    )


def test_states_of_a_stateful_keras_layer_are_no_weights():
    ours, theirs = built(), keras_lstms(4, 4, stateful=True)
    ours.copy_from_keras(theirs)
    np.testing.assert_array_equal(ours.get_lstm_weights(1)[1], theirs[1].get_weights()[1])


@pytest.mark.parametrize(
    ("theirs", "message"),
    [
        ({"num_layers": 3}, "weight_hh_l2 .* for none"),
        ({"num_layers": 1}, r"weight_hh_l1 missing for \(16, 4\)"),
        ({"num_layers": 2, "bias": False}, r"bias_hh_l0 missing for \(16,\)"),
        ({"num_layers": 2, "bidirectional": True}, "weight_hh_l0_reverse .* for none"),
        ({"num_layers": 2, "proj_size": 2}, "weight_hr_l0 .* for none"),
    ],
)
def test_nothing_is_copied_where_one_torch_parameter_does_not_fit(theirs, message):
    torch = pytest.importorskip("torch", reason="PyTorch is the extra `torch`")
    ours, theirs = built(), torch.nn.LSTM(3, 4, **theirs)
    before = ours.get_weights(), [p.detach().cpu().numpy().copy() for p in theirs.parameters()]
    for copy in (ours.copy_from_torch, ours.copy_to_torch):
        with pytest.raises(ValueError, match=message):
            copy(theirs)
    after = ours.get_weights(), [p.detach().cpu().numpy() for p in theirs.parameters()]
    keras.tree.map_structure(np.testing.assert_array_equal, after, before)


def test_nothing_is_copied_where_the_last_of_several_torch_modules_does_not_fit():
    torch = pytest.importorskip("torch", reason="PyTorch is the extra `torch`")
    ours, modules = built(), [torch.nn.LSTM(3, 4), torch.nn.LSTM(4, 5)]
    before = ours.get_weights()
    with pytest.raises(ValueError, match=r"`source\[1\]` must .* weight_hh_l0 \(20, 5\) for"):
        ours.copy_from_torch(modules)
    keras.tree.map_structure(np.testing.assert_array_equal, ours.get_weights(), before)


def test_biases_of_torch_do_not_go_where_there_are_none():
    torch = pytest.importorskip("torch", reason="PyTorch is the extra `torch`")
    layer = built(use_bias=False)
    for copy in (layer.copy_from_torch, layer.copy_to_torch):
        with pytest.raises(ValueError, match=r"bias_hh_l0 \(16,\) for none"):
            copy(torch.nn.LSTM(3, 4, num_layers=2))
    layer.copy_from_torch(torch.nn.LSTM(3, 4, num_layers=2, bias=False))
