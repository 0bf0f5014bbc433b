"""Files made to run code, or to reach outside of themselves, are refused."""

import os
import pickle
import zipfile

import h5py
import keras
import numpy as np
import pytest
from support import ramp
from weight_files import ARRAYS, refusal, write_hdf5, write_keras_archive

from keras_residual.weights import WeightsError, check_keras_archive


class RunsCode:
    """Unpickling it makes a folder."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_checkpoint_that_runs_code_is_refused(torch, tmp_path, legacy):
    path, folder = tmp_path / "evil.pth", tmp_path / "made by code"
    torch.save(
        {"conv.weight": torch.zeros(3), "evil": RunsCode(folder)},
        path,
        _use_new_zipfile_serialization=not legacy,
    )
    assert refusal(path) == (
        "refused: it holds the Python object posix.mkdir, which could run code; "
        "save model.state_dict() alone"
    )
    assert not folder.exists()


def test_a_bare_pickle_that_runs_code_is_refused(tmp_path):
    path, folder = tmp_path / "evil.pth", tmp_path / "made by code"
    path.write_bytes(pickle.dumps(RunsCode(folder)))
    assert "a Python pickle, which could run code" in refusal(path)
    assert not folder.exists()


def test_an_array_of_objects_that_runs_code_is_refused(tmp_path):
    path, folder = tmp_path / "evil.npz", tmp_path / "made by code"
    np.savez(path, good=ARRAYS["half"], evil=np.array([RunsCode(folder)], dtype=object))
    assert refusal(path).startswith("refused: 'evil' is an array of Python objects")
    assert not folder.exists()


def test_a_whole_pickled_module_is_refused(torch, tmp_path):
    torch.save(torch.nn.Conv2d(1, 1, 1), tmp_path / "module.pth")
    assert "torch.nn.modules.conv.Conv2d" in refusal(tmp_path / "module.pth")


@pytest.mark.parametrize("kind", ["external file", "external link", "soft link", "virtual"])
def test_hdf5_that_reaches_out_of_the_file_is_refused(tmp_path, kind):
    (tmp_path / "secret").write_bytes(bytes(8))
    write_hdf5(tmp_path / "other.h5")
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        if kind == "external file":
            file.create_dataset("x", (2,), "f4", external=[(str(tmp_path / "secret"), 0, 8)])
        elif kind == "external link":
            file["x"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "half")
        elif kind == "soft link":
            file["x"] = h5py.SoftLink("/y")
            file["y"] = ramp(2)
        else:
            layout = h5py.VirtualLayout((5,), "f2")
            layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "half", (5,))
            file.create_virtual_dataset("x", layout)
    assert refusal(path).startswith("refused: ")


def nested(node):
    return {"module": "keras", "class_name": "Sequential", "config": {"layers": [node]}}


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        ({"module": "keras.layers", "class_name": "Lambda", "config": {}}, "it has a Lambda layer"),
        ({"class_name": "__lambda__", "config": {"code": "4wEA"}}, "it has a __lambda__ layer"),
        ({"module": "keras.layers", "class_name": "TFSMLayer", "config": {}}, "TFSMLayer"),
        ({"module": "os", "class_name": "system", "config": "ls"}, "it names os.system"),
        ({"module": "builtins", "class_name": "eval", "config": "1"}, "it names builtins.eval"),
        ({"module": "keras.utils", "class_name": "get_file", "config": {}}, "keras.utils.get_file"),
        ({"module": "keras.src.utils.x", "class_name": "y", "config": {}}, "keras.src.utils.x.y"),
    ],
)
def test_keras_archives_that_could_run_code_are_refused(tmp_path, node, reason):
    path = tmp_path / "x.keras"
    write_keras_archive(path, nested(node))
    message = refusal(path)
    assert message.startswith("refused: ") and reason in message
    with pytest.raises(WeightsError):
        check_keras_archive(path)


def test_a_real_lambda_layer_is_refused(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Lambda(lambda x: x + 1)])
    model.save(tmp_path / "lambda.keras")
    assert refusal(tmp_path / "lambda.keras") == (
        "refused: it has a Lambda layer, which could run code"
    )


def test_archives_of_ordinary_models_pass(tmp_path):
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(2, 3, kernel_regularizer="l2", activation="relu")(inputs)
    x = keras.layers.Add()([x, keras.ops.relu(x)])
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D(dtype="bfloat16")(x))
    model.compile(keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 9)), "mse")
    model.save(tmp_path / "x.keras")
    check_keras_archive(tmp_path / "x.keras")


def test_classes_of_other_packages_pass_only_if_trusted(tmp_path):
    path = tmp_path / "x.keras"
    write_keras_archive(path, nested({"module": "mine.layers", "class_name": "L", "config": {}}))
    with pytest.raises(WeightsError, match=r"it names mine\.layers\.L"):
        check_keras_archive(path)
    check_keras_archive(path, trusted=("mine",))


def test_archive_members_outside_the_archive_are_refused(tmp_path):
    path = tmp_path / "x.keras"
    write_keras_archive(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../escaped", "x")
    assert "lies outside the archive" in refusal(path)
