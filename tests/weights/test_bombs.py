"""Small files that ask for much memory or time are refused, or read no further than the model."""

import itertools
import pathlib
import struct
import time
import zipfile

import h5py
import numpy as np
import pytest
from support import ramp
from weights.small_network import network

from keras_residual import weights
from keras_residual.weights import WeightsError

resource = pytest.importorskip("resource", reason="the size of a process is measured by it")

# Memory that reading any of these files may take; the model has 0.1 MB.
MEGABYTES = 150
SECONDS = 5


def resident() -> int:
    """Returns the largest number of bytes that this process ever had."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@pytest.fixture(scope="module")
def model():
    return network(depths=(1, 1), execution="unrolled")


@pytest.fixture
def refused(model):
    """Returns a function that loads a file into the model and reads it alone: both are refused."""

    def check(path: pathlib.Path) -> list[str]:
        before, start, messages = resident(), time.monotonic(), []
        for read in (lambda: weights.load(model, path), lambda: weights.read(path)):
            with pytest.raises(WeightsError) as caught:
                read()
            messages.append(str(caught.value))
        assert resident() - before < MEGABYTES * 1_000_000
        assert time.monotonic() - start < SECONDS
        assert all(len(message) < 2_000 for message in messages)
        return messages

    return check


LARGE = 1 << 31


def write_npz_bomb(path, name="conv1.weight", size=LARGE):
    """A deflated member of zeros; at the best ratio it has a thousandth of its size."""
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open(f"{name}.npy", "w", force_zip64=True) as member,
    ):
        header = {"descr": "<f4", "fortran_order": False, "shape": (size // 4,)}
        np.lib.format.write_array_header_1_0(member, header)
        for _ in range(size >> 24):
            member.write(bytes(1 << 24))


@pytest.mark.parametrize("name", ["conv1.weight", "fc.weight"])
def test_npz_members_of_zeros(tmp_path, refused, name):
    write_npz_bomb(tmp_path / "x.npz", name, 1 << 28)
    loaded, read = refused(tmp_path / "x.npz")
    assert f"1 of another shape: {name}: file ({1 << 26},)" in loaded
    assert "max_bytes=268435456" in read


def test_the_limit_of_read_can_be_raised(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", x=np.zeros(1 << 25, "float32"))
    with pytest.raises(WeightsError, match=r"if you trust it, read it with max_bytes=134217728"):
        weights.read(tmp_path / "x.npz")
    assert weights.read(tmp_path / "x.npz", max_bytes=134217728)["x"].nbytes == 1 << 27
    with pytest.raises(ValueError, match="`max_bytes` must be a positive integer"):
        weights.read(tmp_path / "x.npz", max_bytes=0)


def test_npz_members_that_state_another_size(tmp_path, refused):
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive, archive.open("a.npy", "w") as member:
        header = {"descr": "<f4", "fortran_order": False, "shape": (1 << 40,)}
        np.lib.format.write_array_header_1_0(member, header)
    assert all("'a' claims 4398046511104 bytes" in text for text in refused(tmp_path / "x.npz"))


def test_npz_in_a_compression_without_limit(tmp_path, refused):
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("a.npy", bytes(1 << 20))
    assert "compression of its member 'a.npy' is not supported" in refused(tmp_path / "x.npz")[0]


def test_hdf5_compressed(tmp_path, refused):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        options = {"chunks": (1 << 22,), "compression": "gzip", "fillvalue": 0}
        data = file.create_dataset("stem/kernel", (LARGE // 4,), "f4", **options)
        data[: 1 << 22] = 0.0
    refused(tmp_path / "x.h5")


def test_hdf5_chunks_larger_than_their_dataset(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        options = {"chunks": (1 << 24,), "compression": "gzip", "maxshape": (None,)}
        file.create_dataset("x", data=np.zeros(8, "f4"), **options)
    with pytest.raises(WeightsError, match="its chunks have 67,108,864 bytes each"):
        weights.read(tmp_path / "x.h5")


def test_hdf5_chunks_that_unpack_to_more_than_their_size(tmp_path):
    import zlib

    with h5py.File(tmp_path / "x.h5", "w") as file:
        data = file.create_dataset("x", (1024,), "f4", chunks=(1024,), compression="gzip")
        data.id.write_direct_chunk((0,), zlib.compress(bytes(1 << 27)))
    before = resident()
    with pytest.raises(WeightsError, match="a chunk of 4,096 bytes unpacks to another size"):
        weights.read(tmp_path / "x.h5")
    assert resident() - before < MEGABYTES * 1_000_000


@pytest.mark.parametrize("options", [{"shuffle": True}, {"fletcher32": True}, {"shuffle": False}])
def test_honest_gzip_is_read(tmp_path, options):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", data=ramp(70, 33), chunks=(16, 33), compression="gzip", **options)
    np.testing.assert_array_equal(weights.read(tmp_path / "x.h5")["x"], ramp(70, 33))


def test_hdf5_other_compressions(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", data=ramp(70), chunks=(70,), compression="lzf")
    with pytest.raises(WeightsError, match="only gzip is supported"):
        weights.read(tmp_path / "x.h5")


def test_hdf5_many_names_of_one_dataset(tmp_path, refused):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["layers/a"] = np.zeros(1 << 20, "f4")
        for index in range(500):
            file[f"layers/a{index}"] = file["layers/a"]
    assert "max_bytes=" in refused(tmp_path / "x.h5")[1]


def test_hdf5_chunks_that_are_not_there(tmp_path, refused):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("a", (LARGE,), "f4", chunks=(64,))[:64] = 1.0
    refused(tmp_path / "x.h5")


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("kind", ["graph", "circle", "root", "deep"])
def test_hdf5_groups_without_end(tmp_path, refused, kind, legacy):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        root = file.create_group("model_weights") if legacy else file
        if kind == "graph":
            groups = [root.create_group(f"g{index}") for index in range(40)]
            for group, following in itertools.pairwise(groups):
                group["a"] = group["b"] = following
        elif kind == "circle":
            root["a/b/c"] = ramp(2)
            root["a/b/again"] = root["a"]
        elif kind == "root":
            root["again"] = root
        else:
            root["/".join("x" * 5000)] = ramp(2)
    assert "linked in circles or too deep" in refused(tmp_path / "x.h5")[0]


def test_hdf5_many_pointers_to_one_text(tmp_path, refused):
    path, long, count = tmp_path / "x.h5", 1_000_000, 2000
    with h5py.File(path, "w") as file:
        file["a"] = ramp(2)
        file.attrs["layer_names"] = ["x" * long, *["y"] * (count - 1)]
    content = bytearray(path.read_bytes())
    # A pointer is a length, an address and a number.
    start = content.index(struct.pack("<I", long))
    content[start : start + 16 * count] = content[start : start + 16] * count
    path.write_bytes(content)
    assert "'layer_names' lists 2000 names, there are 0" in refused(path)[0]


class TestTorch:
    @pytest.fixture(autouse=True)
    def _with_torch(self, torch):
        self.torch = torch

    def save(self, path, content, **options):
        self.torch.save(content, path, **options)
        return path

    @pytest.mark.parametrize("old", [False, True])
    def test_a_checkpoint_that_holds_itself(self, tmp_path, refused, old):
        content = {}
        content["state_dict"] = content
        path = self.save(tmp_path / "x.pth", content, _use_new_zipfile_serialization=not old)
        assert all("it holds itself" in text for text in refused(path))

    def test_two_containers_that_hold_each_other(self, tmp_path, refused):
        content = {"model": {}}
        content["model"]["net"] = content
        assert "it holds itself" in refused(self.save(tmp_path / "x.pth", content))[0]

    @pytest.mark.parametrize("name", ["conv1.weight", "other"])
    @pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
    def test_a_number_expanded_to_gigabytes(self, tmp_path, refused, name, dtype):
        one = self.torch.ones(1, dtype=getattr(self.torch, dtype))
        path = self.save(tmp_path / "x.pth", {name: one.expand(25_000_000_000)})
        assert len(path.read_bytes()) < 5_000
        assert "max_bytes=100000000000" in refused(path)[1]

    def test_names_that_are_numbers(self, tmp_path, refused, model):
        path = self.save(tmp_path / "x.pth", {0: self.torch.ones(3), "a": self.torch.ones(1)})
        assert all("entries whose names are not text: 0" in text for text in refused(path))
        with pytest.raises(WeightsError, match="names are not text: 7"):
            weights.load(model, {7: np.ones(3, "float32")})

    @pytest.mark.parametrize("old", [False, True])
    def test_objects_that_allocate_what_they_are_called_with(self, tmp_path, refused, old):
        class Bomb:
            def __reduce__(self):
                return bytearray, (1 << 36,)

        path = self.save(
            tmp_path / "x.pth",
            {"a": self.torch.ones(1), "b": Bomb()},
            _use_new_zipfile_serialization=not old,
        )
        assert "the Python object __builtin__.bytearray" in refused(path)[0]

    @pytest.mark.parametrize("old", [False, True])
    def test_names_that_take_forever_to_hash(self, tmp_path, refused, old):
        # Never hashed here: the pickle is written by hand, with two references to each tuple.
        path = self.save(
            tmp_path / "x.pth",
            {"a": self.torch.ones(1), "key": 5},
            _use_new_zipfile_serialization=not old,
        )
        deep = b")" + b"".join(b"q%c0h%ch%c\x86" % (n, n, n) for n in range(100, 160)) + b"K\x05"
        self.replace(path, b"X\x03\x00\x00\x00key", deep, old)
        assert "tuples inside one another" in refused(path)[0]

    def replace(self, path, start, new, old):
        """Puts bytes in place of a name and its value in the pickle of a checkpoint."""

        def changed(content):
            position = content.index(start)
            end = content.index(b"K\x05", position) + 2
            return content[:position] + new + content[end:]

        if old:
            path.write_bytes(changed(path.read_bytes()))
            return
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                pickled = name.endswith("data.pkl")
                archive.writestr(name, changed(content) if pickled else content)

    def test_compressed_members(self, tmp_path, refused):
        self.save(tmp_path / "a.pth", {"a": self.torch.zeros(1 << 22)})
        with (
            zipfile.ZipFile(tmp_path / "a.pth") as whole,
            zipfile.ZipFile(tmp_path / "b.pth", "w", zipfile.ZIP_DEFLATED) as packed,
        ):
            for name in whole.namelist():
                packed.writestr(name, whole.read(name))
        assert "is compressed, as PyTorch never does" in refused(tmp_path / "b.pth")[0]


def test_keras_archives(tmp_path, refused):
    with zipfile.ZipFile(tmp_path / "x.keras", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        file.writestr("metadata.json", "{}")
        file.writestr("config.json", "{}")
        file.writestr("model.weights.h5", bytes(1 << 28))
    assert "its members unpack to 268,435,460 bytes" in refused(tmp_path / "x.keras")[0]


def test_stages_of_a_billion_blocks(tmp_path, model):
    with h5py.File(tmp_path / "x.weights.h5", "w") as file:
        group = file.create_group("layers/equal/vars")
        group.create_dataset("stage1.equal.kernel", (1 << 30,), "f4", chunks=(64,))[:64] = 1.0
        group.attrs["name"] = "stage1.equal"
    start = time.monotonic()
    with pytest.raises(WeightsError):
        weights.load(model, tmp_path / "x.weights.h5")
    assert time.monotonic() - start < SECONDS


class TestFiniteInTheModelsType:
    @pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".h5", ".pth"])
    def test_large_numbers_of_other_types(self, tmp_path, suffix, model):
        state = weights.to_torch(model)
        state["conv1.weight"] = np.full(state["conv1.weight"].shape, 1e300)
        path = tmp_path / f"x{suffix}"
        if suffix == ".npz":
            np.savez(path, **state)
        elif suffix == ".safetensors":
            pytest.importorskip("safetensors.numpy").save_file(state, path)
        elif suffix == ".pth":
            torch = pytest.importorskip("torch")
            torch.save({k: torch.from_numpy(np.array(v)) for k, v in state.items()}, path)
        else:
            with h5py.File(path, "w") as file:
                for name, value in state.items():
                    file[name] = value
        with pytest.raises(weights.MismatchError, match=r"1 not finite .*: conv1\.weight"):
            weights.load(model, path)

    def test_half_precision_models_have_a_smaller_range(self):
        small = network(depths=(1, 1), dtype="float16")
        state = weights.to_torch(network(depths=(1, 1)))
        state["bn1.bias"] = np.full(8, 1e5, "float32")
        with pytest.raises(weights.MismatchError, match=r"bn1\.bias"):
            weights.load(small, state)

    def test_a_bias_that_takes_the_mean_out_of_range(self, model):
        state = weights.to_torch(model)
        state["conv1.bias"] = np.full(8, -3e38, "float32")
        state["bn1.running_mean"] = np.full(8, 3e38, "float32")
        with pytest.raises(weights.MismatchError, match=r"bn1\.running_mean"):
            weights.load(model, state)
