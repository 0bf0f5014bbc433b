"""Folders of image files, whole and broken."""

import numpy as np
import pytest
import tensorflow as tf
from support import one_line

from keras_residual import data
from keras_residual.data.sources import picture_files

COUNTS = {"ant": 7, "bee": 5}


def image_of(number, size=(6, 5), channels=3):
    return np.random.RandomState(number).randint(0, 256, (*size, channels)).astype("uint8")


def write_images(folder, counts=COUNTS, suffix=".png", channels=3, vary=False):
    """PNG or JPEG files `folder/CLASS/NUMBER`, which hold `image_of(NUMBER)`."""
    encode = tf.io.encode_png if suffix == ".png" else tf.io.encode_jpeg
    number = 0
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for _ in range(count):
            image = image_of(number, (6 + number % 3, 5) if vary else (6, 5), channels)
            (folder / name / f"{number:03d}{suffix}").write_bytes(encode(image).numpy())
            number += 1
    return folder


def test_train_and_test_folders(tmp_path):
    write_images(tmp_path / "train")
    write_images(tmp_path / "test", {"bee": 2})
    dataset = data.load(tmp_path)
    assert isinstance(dataset.train, data.ArraySplit)
    assert dataset.class_names == ("ant", "bee")
    assert dataset.name == tmp_path.name
    assert dataset.train.y.tolist() == [0] * 7 + [1] * 5
    assert dataset.test.y.tolist() == [1, 1]
    np.testing.assert_array_equal(dataset.train.x, [image_of(number) for number in range(12)])
    np.testing.assert_array_equal(dataset.test.x, [image_of(number) for number in range(2)])


def test_one_folder_is_divided_by_seed(tmp_path):
    write_images(tmp_path, {"ant": 10, "bee": 20})
    first, again, other = (data.load(str(tmp_path), seed=seed).test for seed in (0, 0, 1))
    assert first.y.tolist() == [0] * 2 + [1] * 4
    np.testing.assert_array_equal(first.x, again.x)
    assert (first.x != other.x).any()
    assert len(data.load(tmp_path, test_fraction=0.5).test) == 15


def test_train_folder_alone_is_divided(tmp_path):
    write_images(tmp_path / "train")
    dataset = data.load(tmp_path)
    assert (len(dataset.train), len(dataset.test)) == (9, 3)


@pytest.mark.parametrize(("channels", "expected"), [(1, 1), (2, 1), (3, 3), (4, 3)])
def test_channels(tmp_path, channels, expected):
    """Grey stays grey, and transparency is dropped without a change to the colours."""
    write_images(tmp_path, channels=channels)
    dataset = data.load(tmp_path)
    assert dataset.image_shape == (6, 5, expected)
    whole = np.concatenate([dataset.train.x, dataset.test.x])
    originals = np.stack([image_of(number, channels=channels) for number in range(12)])
    assert sorted(map(bytes, whole)) == sorted(map(bytes, originals[..., :expected]))


def test_jpeg_and_stray_files(tmp_path):
    write_images(tmp_path, suffix=".jpg")
    (tmp_path / "ant" / ".hidden.png").write_text("not an image")
    (tmp_path / "ant" / "notes.txt").write_text("not an image")
    (tmp_path / ".cache").mkdir()
    (tmp_path / "ant" / "more").mkdir()
    (tmp_path / "ant" / "000.jpg").rename(tmp_path / "ant" / "more" / "000.JPEG")
    dataset = data.load(tmp_path)
    assert len(dataset.train) + len(dataset.test) == 12


@pytest.mark.parametrize("limit", [0, 2**20])
def test_images_of_different_sizes_are_read_on_demand(tmp_path, monkeypatch, limit):
    monkeypatch.setattr(picture_files, "_READ_AT_LOAD_BYTES", limit)
    write_images(tmp_path / "train", vary=True)
    write_images(tmp_path / "test", vary=True)
    dataset = data.load(tmp_path)
    assert dataset.image_shape == (None, None, 3)
    assert dataset.train.augmentation == "imagenet"
    assert str(dataset) == (
        f"{tmp_path.name}: 12 training and 12 held-out images of various sizes with 3 channels, "
        "2 classes"
    )
    read = list(dataset.test.examples(seed=0, epoch=0, shuffle=False).as_numpy_iterator())
    for number, (image, label, index) in enumerate(read):
        np.testing.assert_array_equal(image, image_of(number, (6 + number % 3, 5)))
        assert (label, index) == (number >= 7, number)
    rest, held_out = dataset.train.hold_out(0.25)
    assert (len(rest), len(held_out)) == (9, 3)
    mean, _ = data.channel_statistics(dataset.test)
    pixels = np.concatenate([image.reshape(-1, 3) for image, _, _ in read]) / 255
    np.testing.assert_allclose(mean, pixels.mean(0))


def test_a_file_damaged_after_loading_is_named(tmp_path):
    write_images(tmp_path / "train", vary=True)
    write_images(tmp_path / "test", vary=True)
    dataset = data.load(tmp_path)
    damaged = tmp_path / "test" / "bee" / "009.png"
    damaged.write_bytes(damaged.read_bytes()[:60])
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"damaged image file.*009\.png"):
        list(data.pipeline(dataset.test, batch_size=4, image_size=6))


def broken(name):
    def spoil(folder):
        if name == "empty":
            folder.mkdir()
            return folder, "at least 2 class folders. Received: none"
        write_images(folder, {"ant": 3} if name == "one class" else COUNTS)
        file = folder / "ant" / "001.png"
        content = file.read_bytes()
        if name == "one class":
            return folder, "Received: ant"
        if name == "class without images":
            (folder / "cow").mkdir()
            return folder / "cow", "holds no images"
        if name == "truncated":
            file.write_bytes(content[:50])
        if name == "empty file":
            file.write_bytes(b"")
        if name == "text":
            file.write_text("this is no image")
        if name == "bit flipped":
            file.write_bytes(content[:60] + bytes([content[60] ^ 255]) + content[61:])
        if name == "other format":
            file.rename(file.with_suffix(".webp"))
            return file.with_suffix(".webp"), "convert it"
        if name == "disguised bitmap":
            file.write_bytes(b"BM" + content)
        return file, "PNG or JPEG"

    return spoil


@pytest.mark.parametrize(
    "name",
    [
        "empty",
        "one class",
        "class without images",
        "truncated",
        "empty file",
        "text",
        "bit flipped",
        "other format",
        "disguised bitmap",
    ],
)
@pytest.mark.parametrize("divided", [False, True])
def test_broken_folders(tmp_path, name, divided):
    if divided:
        write_images(tmp_path / "pets" / "test", {"ant": 1})
    culprit, words = broken(name)(tmp_path / "pets" / ("train" if divided else ""))
    with pytest.raises(data.DatasetError) as error:
        data.load(tmp_path / "pets")
    one_line(error, culprit, words)


def test_large_collections_are_checked_by_their_files_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(picture_files, "_READ_AT_LOAD_BYTES", 0)
    write_images(tmp_path)
    file = tmp_path / "bee" / "010.png"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(data.DatasetError, match=r"010\.png is truncated"):
        data.load(tmp_path)


def test_unreadable_files_are_named(tmp_path, monkeypatch):
    def deny(path, max_pixels):
        raise PermissionError(13, "Permission denied", str(path))

    write_images(tmp_path)
    monkeypatch.setattr(picture_files, "read_header", deny)
    with pytest.raises(data.DatasetError, match=r"\.png cannot be read \(Permission denied\)"):
        data.load(tmp_path)


def test_held_out_classes_must_be_known(tmp_path):
    write_images(tmp_path / "train")
    write_images(tmp_path / "val", {"ant": 1, "eel": 1})
    with pytest.raises(data.DatasetError, match="Received: eel"):
        data.load(tmp_path)


def test_one_image_a_class_cannot_be_divided(tmp_path):
    write_images(tmp_path, {"ant": 1, "bee": 1})
    with pytest.raises(data.DatasetError, match="too few images"):
        data.load(tmp_path)


def test_linked_folders_are_followed_but_not_in_circles(tmp_path):
    write_images(tmp_path / "here", {"ant": 4, "bee": 4})
    write_images(tmp_path / "there", {"ant": 4})
    (tmp_path / "here" / "ant" / "more").symlink_to(tmp_path / "there" / "ant")
    (tmp_path / "there" / "ant" / "around").symlink_to(tmp_path / "there" / "ant")
    dataset = data.load(tmp_path / "here")
    assert len(dataset.train) + len(dataset.test) == 12


def test_damaged_pictures_are_all_named_or_left_out(tmp_path):
    write_images(tmp_path, {"ant": 6, "bee": 6})
    for name in ("ant/001.png", "bee/007.png"):
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[:50])
    flipped = tmp_path / "bee" / "009.png"
    content = flipped.read_bytes()
    flipped.write_bytes(content[:60] + bytes([content[60] ^ 255]) + content[61:])
    with pytest.raises(data.DatasetError) as error:
        data.load(tmp_path)
    one_line(error, "3 of 12", "001.png", "007.png", "009.png", "damaged='leave_out'")
    with pytest.warns(UserWarning, match=r"3 of 12 pictures.*left out"):
        dataset = data.load(f"{tmp_path},damaged=leave_out")
    assert len(dataset.left_out) == 3 and "3 damaged left out" in str(dataset)
    assert len(dataset.train) + len(dataset.test) == 9
    whole = np.concatenate([dataset.train.x, dataset.test.x])
    labels = np.concatenate([dataset.train.y, dataset.test.y])
    expected = {bytes(image_of(n)): n >= 6 for n in range(12) if n not in (1, 7, 9)}
    assert {bytes(x): bool(y) for x, y in zip(whole, labels, strict=True)} == expected


@pytest.mark.filterwarnings("ignore:.*left out")
def test_nothing_may_be_left_of_a_class(tmp_path):
    write_images(tmp_path / "train", {"ant": 2, "bee": 3})
    write_images(tmp_path / "test", {"ant": 1, "bee": 1})
    for path in (tmp_path / "train" / "ant").iterdir():
        path.write_bytes(b"")
    with pytest.raises(data.DatasetError, match="no training pictures of ant are left"):
        data.load(tmp_path, damaged="leave_out")


def test_groups_of_files_stay_together(tmp_path):
    write_images(tmp_path, {"ant": 12, "bee": 12})
    dataset = data.load(tmp_path, group=lambda path: int(path.stem) % 5)
    assert not set(dataset.train.groups) & set(dataset.test.groups)
    with pytest.raises(data.DatasetError, match="`group` must be a function"):
        data.load(tmp_path, group="person")


def test_sizes_may_differ_by_a_factor_of_thirty(tmp_path):
    write_images(tmp_path, {"ant": 3, "bee": 3})
    (tmp_path / "ant" / "large.png").write_bytes(tf.io.encode_png(image_of(0, (180, 150))).numpy())
    (tmp_path / "bee" / "wide.png").write_bytes(tf.io.encode_png(image_of(0, (6, 180))).numpy())
    dataset = data.load(tmp_path)
    train, test = dataset.batches(2, image_size=8)
    for batches in (train(0).take(3), test):
        for images, _ in batches:
            assert images.shape[1:] == (8, 8, 3) and np.isfinite(images).all()


def test_a_few_large_pictures_do_not_hide_how_large_most_are(tmp_path):
    write_images(tmp_path, {"ant": 6, "bee": 6})
    assert data.load(tmp_path).typical_side == 5
    (tmp_path / "ant" / "large.png").write_bytes(tf.io.encode_png(image_of(0, (180, 150))).numpy())
    dataset = data.load(tmp_path)
    assert dataset.image_shape == (None, None, 3) and dataset.typical_side == 5
    assert dataset.train.hold_out(0.3)[0].typical_side == 5


def test_an_unused_part_is_told_of(tmp_path):
    for part in ("train", "val", "test"):
        write_images(tmp_path / part)
    with pytest.warns(UserWarning, match="val: not used, as"):
        data.load(tmp_path)
