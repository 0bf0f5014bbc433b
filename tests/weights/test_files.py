"""Reading weight files: every format, whole, damaged and misnamed."""

import json
import pathlib
import pickle
import struct
import subprocess
import sys

import h5py
import numpy as np
import pytest
import weight_files
from weight_files import (
    ARRAYS,
    CHECKSUMMED,
    WRITERS,
    assert_same_arrays,
    flipped,
    refusal,
    write_npz,
    write_safetensors,
    write_torch,
)

from keras_residual import weights
from keras_residual.weights import WeightsError, read
from keras_residual.weights._readers import torch_file


@pytest.fixture(params=WRITERS)
def written(request, tmp_path):
    path = tmp_path / request.param
    WRITERS[request.param][1](path)
    return path


@pytest.fixture(params=CHECKSUMMED)
def checksummed(request, tmp_path):
    path = tmp_path / request.param
    WRITERS[request.param][1](path)
    return path


def test_every_format_gives_the_arrays_that_were_written(written):
    arrays = read(written)
    assert arrays.format == WRITERS[written.name][0] == weights.detect(written)
    assert_same_arrays(arrays)


def test_the_content_decides_where_the_suffix_says_nothing(written):
    assert_same_arrays(read(written.rename(written.with_suffix(".bin"))))


def test_a_suffix_that_contradicts_the_content_is_refused(written):
    kind = WRITERS[written.name][0]
    suffix, named = (".npz", "npz") if kind != "npz" else (".pth", "torch")
    reason = refusal(written.rename(written.with_suffix(suffix)))
    assert reason.startswith(f"named as {named}, but the content is {kind}; rename it to end in .")


def test_the_hash_is_compared_if_given(written):
    digest = weights.files._digests.digest_of(written)
    assert_same_arrays(read(written, digest=digest[:15]))
    written.write_bytes(flipped(written.read_bytes(), 8 * (written.stat().st_size // 2)))
    with pytest.raises(WeightsError, match=f"expected {digest}, found sha256:"):
        read(written, digest=digest)


@pytest.mark.parametrize("digest", ["abc", "sha256:12", "sha1:0123456789abcdef", 5])
def test_a_hash_in_another_form_is_refused(digest, tmp_path):
    write_npz(tmp_path / "x.npz")
    with pytest.raises(ValueError, match=r"`digest` must be .* Received: digest="):
        read(tmp_path / "x.npz", digest=digest)


def test_a_truncated_file_is_refused_wherever_it_ends(written):
    content = written.read_bytes()
    step = len(content) // 40
    for length in range(0, len(content) - 1, step):
        written.write_bytes(content[:length])
        refusal(written)


def test_a_flipped_bit_is_refused_or_changes_nothing_where_there_are_checksums(checksummed):
    content = checksummed.read_bytes()
    refused = 0
    for position in range(0, 8 * len(content), 8 * len(content) // 300 | 1):
        checksummed.write_bytes(flipped(content, position))
        try:
            assert_same_arrays(read(checksummed))
        except WeightsError as error:
            assert "\n" not in str(error)
            refused += 1
    assert refused > 150


def test_a_flipped_bit_in_a_header_is_refused(written):
    content = written.read_bytes()
    for position in (0, 13, 21):
        written.write_bytes(flipped(content, position))
        refusal(written)


def test_an_archive_that_lost_members_in_its_directory_is_refused(tmp_path):
    path = tmp_path / "x.npz"
    write_npz(path)
    content = bytearray(path.read_bytes())
    # The comment length of the first directory entry: zipfile skips what it thinks is a comment.
    content[content.index(b"PK\1\2") + 33] = 1
    path.write_bytes(content)
    assert refusal(path) == "damaged zip archive: it has 1 of 4 members"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (b"hello, I am no weight file", "of no known weight format"),
        (b"<!DOCTYPE html><html></html>", "an HTML or XML page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (b"\x93NUMPY\x01\x00", "a single NumPy array"),
        (pickle.dumps({"conv": [1.0]}), "a Python pickle, which could run code"),
        (b"PK\x05\x06" + bytes(18), "neither of PyTorch, NumPy nor Keras"),
    ],
)
def test_other_contents_are_named(tmp_path, content, reason):
    path = tmp_path / "x"
    path.write_bytes(content)
    assert reason in refusal(path)


def test_missing_files_and_folders_are_named(tmp_path):
    assert refusal(tmp_path / "nothing.pth") == "no such file"
    assert refusal(tmp_path) == "a folder"


@pytest.mark.parametrize("name", ["x.npz", "x.h5"])
def test_files_without_arrays_are_refused(tmp_path, name):
    path = tmp_path / name
    if name == "x.npz":
        np.savez(path)
    else:
        h5py.File(path, "w").close()
    assert "no arrays" in refusal(path) or "neither of" in refusal(path)


@pytest.mark.parametrize("container", ["state_dict", "model", "model_state_dict"])
def test_checkpoints_are_taken_out_of_their_containers(torch, tmp_path, container):
    state = {f"module.{name}": torch.from_numpy(np.array(v)) for name, v in ARRAYS.items()}
    torch.save({container: state, "epoch": 3, "optimizer": {"lr": 0.1}}, tmp_path / "x.pth")
    assert_same_arrays(read(tmp_path / "x.pth"))


def test_entries_that_are_no_arrays_are_named(torch, tmp_path):
    torch.save({"conv.weight": torch.zeros(3), "epoch": 3}, tmp_path / "x.pth")
    assert refusal(tmp_path / "x.pth") == "entries that are not arrays: 'epoch' (int)"
    torch.save([torch.zeros(3)], tmp_path / "x.pth")
    assert refusal(tmp_path / "x.pth") == "expected a dict of tensors, found list"


def test_state_dicts_in_memory_are_read_as_files_are(torch):
    module = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    entries = torch_file.from_state_dict(module.state_dict())
    arrays = {name: entry.read() for name, entry in entries.items()}
    assert list(arrays) == list(module.state_dict())
    np.testing.assert_array_equal(arrays["0.weight"], module[0].weight.detach().numpy())


def test_bfloat16_becomes_the_equal_float32(torch, tmp_path):
    values = torch.tensor([1.0, -2.5, 3.1415926, 1e-30]).to(torch.bfloat16)
    torch.save({"x": values}, tmp_path / "x.pth")
    from safetensors.torch import save_file

    save_file({"x": values}, tmp_path / "x.safetensors")
    for name in ("x.pth", "x.safetensors"):
        array = read(tmp_path / name)["x"]
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, values.float().numpy())


def test_checkpoints_without_checksums_are_still_read(torch, tmp_path):
    computed = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        write_torch(tmp_path / "x.pth")
    finally:
        torch.serialization.set_crc32_options(computed)
    assert_same_arrays(read(tmp_path / "x.pth"))


@pytest.mark.parametrize(
    ("package", "name", "install"),
    [
        ("torch", "x.pth", r"'keras-residual\[torch\]'"),
        ("safetensors", "x.safetensors", "safetensors"),
    ],
)
def test_a_missing_package_is_named(tmp_path, monkeypatch, package, name, install):
    WRITERS[name][1](tmp_path / name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=f"pip install {install}"):
        read(tmp_path / name)


def test_the_header_of_safetensors_is_validated(tmp_path):
    write_safetensors(tmp_path / "x.safetensors")
    content = (tmp_path / "x.safetensors").read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    header["conv.bias"]["data_offsets"][1] += 8
    forged = json.dumps(header).encode()
    path = tmp_path / "forged.safetensors"
    path.write_bytes(struct.pack("<Q", len(forged)) + forged + content[8 + length :])
    assert refusal(path).startswith("damaged safetensors file")
    assert read(tmp_path / "x.safetensors").metadata == {"maker": "test"}


_PEAK = """
import resource, sys
from keras_residual.weights import read
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
arrays = read(sys.argv[1])
total = sum(float(array.sum()) for array in arrays.values())
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss counts other units elsewhere")
@pytest.mark.parametrize("name", ["x.safetensors", "x.pth", "old.pt", "x.npz", "x.h5"])
def test_reading_holds_the_values_once(tmp_path, monkeypatch, name):
    values = {f"layer{i}": np.full((512, 1024), i, "float32") for i in range(50)}
    monkeypatch.setattr(weight_files, "ARRAYS", values)
    path = pathlib.Path(tmp_path, name)
    WRITERS[name][1](path)
    megabytes = path.stat().st_size / 2**20
    command = [sys.executable, "-c", _PEAK, str(path)]
    peak = float(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    # Importing torch for the first time takes some 200 MB of its own.
    own = 250 if name.endswith(("pth", "pt")) else 20
    assert peak < 1.15 * megabytes + own
