"""TensorFlow Datasets: mocked, real over local files, and out of reach."""

import socket
import sys
import threading
import time

import numpy as np
import pytest

from keras_residual import data
from keras_residual.data.sources import tfds as tfds_source

tfds = pytest.importorskip("tensorflow_datasets")


@pytest.fixture(autouse=True)
def no_files_of_the_user(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_RESIDUAL_DATA", str(tmp_path / "own"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))


class Blobs(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Images from a local file, of one size or of several, with or without a test split."""

    VERSION = tfds.core.Version("1.0.0")
    source = None
    size = (9, 7)
    splits = ("train", "test")
    test_label = None

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(*self.size, 3)),
                    "label": tfds.features.ClassLabel(names=["red", "blue"]),
                }
            ),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(split) for split in self.splits}

    def _generate_examples(self, split):
        with np.load(self.source) as archive:
            images = archive["images"]
        for index, image in enumerate(images):
            label = self.test_label if split == "test" and self.test_label else index % 2
            yield index, {"image": image[: None if self.size[0] else 3 + index % 5], "label": label}


@pytest.fixture
def builder_of(tmp_path):
    images = np.random.RandomState(0).randint(0, 256, (20, 9, 7, 3)).astype("uint8")
    np.savez(tmp_path / "source.npz", images=images)

    def make(**attributes):
        attributes = {"source": str(tmp_path / "source.npz"), **attributes}
        made = type("Blobs", (Blobs,), attributes, skip_registration=True)
        return made(data_dir=tmp_path / "tfds"), images

    return make


def test_builder_over_local_files_is_prepared_and_read(builder_of):
    builder, images = builder_of()
    dataset = data.load(builder)
    assert isinstance(dataset.train, data.ArraySplit)
    assert dataset.class_names == ("red", "blue")
    assert sorted(map(bytes, dataset.train.x)) == sorted(map(bytes, images))
    assert [bytes(images[1]), 1] in [
        [bytes(image), label] for image, label in zip(dataset.test.x, dataset.test.y, strict=True)
    ]


def test_a_builder_trains_as_arrays_do(builder_of):
    """After `load` the source of the images makes no difference."""
    dataset = data.load(builder_of()[0])
    parts = (dataset.train.x, dataset.train.y, dataset.test.x, dataset.test.y)
    made = [source.batches(8, seed=2) for source in (dataset, data.load(parts))]
    for ours, theirs in zip(*made, strict=True):
        assert isinstance(ours, data.BatchesInStep)
        for one, other in zip(ours.arrays, theirs.arrays, strict=True):
            np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(ours.order(1)[0], theirs.order(1)[0])


def test_streamed_images_train_epoch_by_epoch(builder_of):
    train, held_out = data.load(builder_of(size=(None, None))[0]).batches(8, image_size=6)
    assert isinstance(train, data.EpochBatches) and len(train) == 3
    assert next(iter(train(1)))[0].shape == next(iter(held_out))[0].shape == (8, 6, 6, 3)


def test_streamed_images_are_repeated_from_all_over_the_stream(builder_of):
    split = data.load(builder_of(size=(None, None))[0]).train
    options = {"batch_size": 8, "training": True, "image_size": 6, "repeats": 3}
    stored = {
        image.tobytes(): number
        for number, (image, _, _) in enumerate(split.examples(0, 0, False).as_numpy_iterator())
    }
    seen = set()
    for epoch in range(16):
        examples = list(split.examples(0, epoch, True, 7).as_numpy_iterator())
        assert [stored[image.tobytes()] for image, _, _ in examples] == [i for _, _, i in examples]
        assert len(examples) == 7
        seen |= {index for _, _, index in examples}
    assert seen == set(range(len(split)))
    batches = list(data.pipeline(split, **options).as_numpy_iterator())
    assert sum(len(labels) for _, labels in batches) == len(split) == 20


def test_prepared_data_is_found_by_name(builder_of, tmp_path):
    builder, images = builder_of()
    builder.download_and_prepare()
    dataset = data.load("blobs", data_dir=tmp_path / "tfds")
    assert dataset.class_names == ("red", "blue")
    assert sorted(map(bytes, dataset.train.x)) == sorted(map(bytes, images))


def test_damaged_prepared_data(builder_of):
    builder, _ = builder_of()
    builder.download_and_prepare()
    (record,) = builder.data_path.glob("*train.tfrecord*")
    record.write_bytes(record.read_bytes()[:-30])
    with pytest.raises(data.DatasetError) as error:
        data.load(builder)
    message = str(error.value)
    assert "is damaged" in message and str(builder.data_path) in message and "\n" not in message


def test_images_of_different_sizes_are_streamed(builder_of):
    builder, _ = builder_of(size=(None, 7))
    dataset = data.load(builder)
    assert dataset.image_shape == (None, 7, 3)
    assert len(dataset.train) == 20
    arguments = {"batch_size": 8, "training": True, "image_size": 6, "repeat": True}
    epochs = []
    for _ in range(2):
        batches = iter(data.pipeline(dataset.train, **arguments))
        epochs.append([next(batches)[0].numpy() for _ in range(6)])
    for first, second in zip(*epochs, strict=True):
        np.testing.assert_array_equal(first, second)
    resumed = iter(data.pipeline(dataset.train, **arguments, epoch=1))
    for expected in epochs[0][3:]:
        np.testing.assert_array_equal(next(resumed)[0], expected)
    rest, held_out = dataset.train.hold_out(0.25)
    assert [len(list(part.examples(0, 0, False))) for part in (rest, held_out)] == [15, 5]
    with pytest.raises(ValueError, match="`fraction`"):
        rest.hold_out(0.5)
    assert data.channel_statistics(dataset.test)[0].shape == (3,)


def test_split_without_test_is_divided(builder_of):
    builder, _ = builder_of(splits=("train",))
    dataset = data.load(builder, test_fraction=0.25)
    assert (len(dataset.train), len(dataset.test)) == (15, 5)


def test_unlabelled_test_split_gives_way_to_validation(builder_of):
    builder, _ = builder_of(splits=("train", "validation", "test"), test_label=-1)
    assert set(data.load(builder).test.y) == {0, 1}


def test_builder_without_train_split(builder_of):
    builder, _ = builder_of(splits=("test",))
    with pytest.raises(data.DatasetError, match=r"no split named train\. Received: test"):
        data.load(builder)


def test_failing_preparation_is_one_line(builder_of, tmp_path):
    builder, _ = builder_of(source=str(tmp_path / "missing.npz"))
    with pytest.raises(data.DatasetError) as error:
        data.load(builder)
    assert "missing.npz" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(("name", "shape"), [("cifar10", (32, 32, 3)), ("mnist", (28, 28, 1))])
def test_mocked_names(name, shape):
    with tfds.testing.mock_data(num_examples=6):
        dataset = data.load(name)
    assert dataset.image_shape == shape
    assert len(dataset.train) == len(dataset.test) == 6
    assert dataset.num_classes == 10
    assert dataset.train.augmentation == {"cifar10": "cifar", "mnist": "shift"}[name]


def test_mocked_stream():
    with tfds.testing.mock_data(num_examples=5):
        dataset = data.load("imagenet2012")
        images, labels = next(iter(data.pipeline(dataset.train, batch_size=2, training=True)))
    assert dataset.image_shape == (None, None, 3)
    assert dataset.num_classes == 1000
    assert images.shape == (2, 224, 224, 3)
    assert labels.shape == (2,)


def test_without_network_the_answer_is_quick_and_says_what_to_do(tmp_path, monkeypatch):
    def unknown_host(*args, **kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown_host)
    start = time.perf_counter()
    with pytest.raises(data.DatasetError) as error:
        data.load("cifar10", data_dir=tmp_path / "tfds")
    assert time.perf_counter() - start < 5
    message = str(error.value)
    assert "\n" not in message
    for words in (
        "'cifar10' is not prepared in",
        str(tmp_path / "tfds" / "cifar10"),
        "www.cs.toronto.edu cannot be reached",
        str(tmp_path / "own" / "cifar10.npz"),
        str(tmp_path / "keras" / "datasets" / "cifar10.npz"),
    ):
        assert words in message


def test_name_resolution_that_hangs_is_left_behind(monkeypatch):
    release = threading.Event()

    def hang(*args, **kwargs):
        release.wait(20)
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    start = time.perf_counter()
    assert not tfds_source._reachable("https://example.org/data.tar", seconds=0.2)
    assert time.perf_counter() - start < 3
    release.set()


def test_server_that_never_answers_is_unreachable():
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/data.tar"
        start = time.perf_counter()
        assert not tfds_source._reachable(url, seconds=0.3)
        assert time.perf_counter() - start < 3


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.0 200 OK\r\n\r\n", b"HTTP/1.0 404 Not Found\r\n\r\n", b"?"]
)
def test_server_that_answers_anything_is_reachable(answer):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            connection, _ = server.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        assert tfds_source._reachable(f"http://127.0.0.1:{server.getsockname()[1]}/data.tar")
        thread.join()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cifra10", "Unknown dataset: 'cifra10'. Did you mean cifar10"),
        ("digit", "Did you mean digits"),
        ("cifar10/nonsense", "nonsense"),
    ],
)
def test_unknown_names(name, words):
    with pytest.raises(data.DatasetError) as error:
        data.load(name)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_other_tasks_are_refused():
    with pytest.raises(data.DatasetError, match="'ag_news_subset' is not for classification"):
        data.load("ag_news_subset")


def test_without_tfds_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(ImportError, match=r'pip install "keras-residual\[data\]".*cifar10\.npz'):
        data.load("cifar10")
