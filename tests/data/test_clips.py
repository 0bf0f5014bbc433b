"""Clips: arrays, folders of frames and video files; frames by seed, epoch and clip."""

import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_residual import data
from keras_residual.data.sources import clips

# The value of a pixel is that of its clip and of its frame.
X = np.zeros((12, 10, 6, 8, 3), np.uint8)
X += (20 * np.arange(12)[:, None] + np.arange(10)).astype("uint8")[..., None, None, None]
Y = np.arange(12) % 2


def frames_of(clips):
    """The numbers of the frames in a batch of clips."""
    return np.rint(np.asarray(clips)[:, :, 0, 0, 0] * 255).astype(int) % 20


def test_frames_are_drawn_by_seed_epoch_and_clip():
    dataset = data.load((X, Y, X, Y), frames=4, stride=2)
    assert str(dataset).startswith("arrays: 12 training and 12 held-out clips of 4 x 6 x 8 x 3")
    train, held_out = dataset.batches(4, augmentation="none")
    clips, _ = held_out.make(held_out.arrays, np.arange(12), 0)
    np.testing.assert_array_equal(frames_of(clips), [[1, 3, 5, 7]] * 12)
    drawn = np.stack([frames_of(train.make(train.arrays, np.arange(12), e)[0]) for e in range(20)])
    assert (np.diff(drawn, axis=2) == 2).all()
    assert np.bincount(drawn[..., 0].ravel()).min() > 40 and drawn[..., 0].max() == 3
    part = train.make(train.arrays, np.arange(5, 9), 7)[0]
    np.testing.assert_array_equal(frames_of(part), drawn[7, 5:9])


def test_the_pipeline_gives_what_the_step_makes():
    split = data.load((X, Y, X, Y), frames=4).train
    train = data.in_step(split, 4, training=True, seed=3, augmentation="cifar")
    arrays = tuple(keras.ops.convert_to_tensor(array) for array in train.arrays)
    index = keras.ops.convert_to_tensor(train.order(2)[0][0])
    made = keras.ops.convert_to_numpy(train.make(arrays, index, 2)[0])
    options = {"batch_size": 4, "training": True, "seed": 3, "epoch": 2, "augmentation": "cifar"}
    piped = next(iter(data.pipeline(split, **options)))[0]
    assert piped.shape == (4, 4, 6, 8, 3)
    np.testing.assert_allclose(piped, made, atol=1e-6)


def test_all_frames_of_a_clip_are_changed_alike():
    still = np.random.default_rng(0).integers(0, 256, (6, 1, 8, 8, 3), np.uint8).repeat(5, axis=1)
    dataset = data.load((still, np.arange(6) % 2, still, np.arange(6) % 2), frames=5)
    train, _ = dataset.batches(6, augmentation="cifar_cutout", mixup=0.5)
    clips, labels = train.make(train.arrays, np.arange(6), 1)
    clips = np.asarray(clips)
    assert clips.shape == still.shape and labels.shape == (6, 2)
    np.testing.assert_allclose(clips, clips[:, :1].repeat(5, axis=1), atol=1e-6)
    assert (abs(clips[:, 0] - still[:, 0] / 255) > 0.01).any()


@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, 10), ({"stride": 2}, 5), ({"stride": 4}, 3), ({"frames": 3, "stride": 4}, 3)],
    ids=str,
)
def test_without_a_number_the_frames_of_the_shortest_clip_are_taken(options, expected):
    assert data.load((X, Y, X, Y), **options).image_shape == (expected, 6, 8, 3)
    long = np.concatenate([X, X], axis=1)
    assert data.load((long, Y, long, Y)).image_shape == (16, 6, 8, 3)


@pytest.mark.parametrize(
    ("clips", "options", "message"),
    [
        (X, {"frames": 12}, "a clip of 10 frames is too short: frames=12 with stride=1 take 12"),
        (X, {"frames": 4, "stride": 4}, "frames=4 with stride=4 take 13"),
        (X, {"stride": 10}, "frames=2 with stride=10 take 11"),
        (X[:, :1], {}, "a clip of 1 frame is a picture"),
        (np.where(X == 3, np.nan, X), {}, "NaN"),
        (X[:, :0], {}, "none of them 0"),
        (X[..., 0], {"examples": "clips"}, "must hold clips"),
    ],
    ids=str,
)
def test_wrong_clips_are_refused(clips, options, message):
    with pytest.raises(data.DatasetError, match=message):
        data.load((clips, Y, clips, Y), **options)


def test_clips_of_an_npz_file(tmp_path):
    np.savez(tmp_path / "moves.npz", x=X, y=Y, label_names=np.array(["left", "right"]))
    dataset = data.load(f"{tmp_path / 'moves.npz'},frames=4,stride=2")
    assert dataset.image_shape == (4, 6, 8, 3) and dataset.class_names == ("left", "right")
    assert dataset.train.stride == 2


def test_folders_of_frames(tmp_path):
    for name in ("left", "right"):
        for clip in range(3):
            place = tmp_path / name / f"clip{clip}"
            place.mkdir(parents=True)
            for number in range(4 + clip):
                image = np.full((6, 8, 3), number, np.uint8)
                (place / f"{number:03d}.png").write_bytes(tf.io.encode_png(image).numpy())
    dataset = data.load(tmp_path, examples="clips", frames=3)
    assert dataset.class_names == ("left", "right") and dataset.image_shape == (3, 6, 8, 3)
    lengths = np.concatenate([dataset.train.lengths, dataset.test.lengths])
    assert sorted(lengths) == [4, 4, 5, 5, 6, 6]
    short = dataset.train.x[dataset.train.lengths == 4][0]
    assert short[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 3, 3]
    with pytest.raises(
        data.DatasetError, match=r"2 of 6 clips cannot be used: .*of 4 frames is too"
    ):
        data.load(tmp_path, examples="clips", frames=5)
    with pytest.warns(UserWarning, match="left out"):
        left = data.load(tmp_path, examples="clips", frames=5, damaged="leave_out")
    assert len(left.train) + len(left.test) == 4 and len(left.left_out) == 2
    (tmp_path / "left" / "clip1" / "002.png").write_bytes(b"")
    with pytest.raises(data.DatasetError, match=r"clip1.002\.png"):
        data.load(tmp_path, examples="clips", frames=3)
    (tmp_path / "left" / "clip1" / "002.png").write_bytes(
        tf.io.encode_png(np.zeros((6, 9, 3), np.uint8)).numpy()
    )
    with pytest.raises(data.DatasetError, match=r"several sizes: .*`frame_size`"):
        data.load(f"{tmp_path},examples=clips,frames=3")
    resized = data.load(f"{tmp_path},examples=clips,frames=3,frame_size=4x6")
    assert resized.image_shape == (3, 4, 6, 3)


def test_clips_that_take_too_much_together_are_not_all_read(tmp_path, monkeypatch):
    frame = tf.io.encode_png(np.zeros((50, 50, 3), np.uint8)).numpy()
    for clip in range(40):
        place = tmp_path / f"class{clip % 2}" / f"clip{clip}"
        place.mkdir(parents=True)
        for number in range(2):
            (place / f"{number}.png").write_bytes(frame)
    read, seen = clips.read_clip, []
    monkeypatch.setattr(clips, "read_clip", lambda *given: seen.append(given) or read(*given))
    with pytest.raises(data.DatasetError, match="40 clips take more than max_bytes=40,000"):
        data.load(tmp_path, examples="clips", max_bytes=40_000)
    assert 3 <= len(seen) < 40
    with pytest.raises(data.DatasetError, match="holds more than max_bytes=10,000"):
        data.load(tmp_path, examples="clips", max_bytes=10_000)


def test_clips_of_several_sizes(tmp_path):
    """Frames of 6 x 8 and 12 x 16 that are white on the left become the same at one size."""
    for name in ("left", "right"):
        for clip in range(3):
            place = tmp_path / name / f"clip{clip}"
            place.mkdir(parents=True)
            image = np.zeros((6, 8, 3), np.uint8).repeat(1 + clip % 2, 0).repeat(1 + clip % 2, 1)
            image[:, : image.shape[1] // 2] = 255
            for number in range(4):
                (place / f"{number}.png").write_bytes(tf.io.encode_png(image).numpy())
    with pytest.raises(data.DatasetError, match=r"one size: give `frame_size`.*6 x 8, 12 x 16"):
        data.load(tmp_path, examples="clips")
    dataset = data.load(tmp_path, examples="clips", frame_size=6)
    assert dataset.image_shape == (4, 6, 6, 3)
    x = np.concatenate([dataset.train.x, dataset.test.x])
    assert x.shape == (6, 4, 6, 6, 3) and (x[..., 0, :] == 255).all() and (x[..., 5, :] == 0).all()
    np.testing.assert_allclose(x[:, 0, 0, 2:4, 0], np.tile([244, 11], (6, 1)), atol=20)
    for size in (0, (4,), "big", (4, 0)):
        with pytest.raises(ValueError, match="`frame_size` must be"):
            data.load(tmp_path, examples="clips", frame_size=size)
    with pytest.raises(ValueError, match="frame_size"):
        data.load(f"{tmp_path},examples=clips,frame_size=4x")


def test_video_files(tmp_path):
    av = pytest.importorskip("av")
    for name in ("left", "right"):
        (tmp_path / name).mkdir()
        for clip in range(3):
            with av.open(str(tmp_path / name / f"{clip}.mp4"), "w") as container:
                stream = container.add_stream("mpeg4", rate=10)
                stream.width = stream.height = 32
                stream.pix_fmt = "yuv420p"
                for number in range(5 + clip):
                    image = np.full((32, 32, 3), 40 * number, np.uint8)
                    frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                    container.mux(stream.encode(frame))
                container.mux(stream.encode())
    dataset = data.load(tmp_path, frames=4)
    assert sorted([*dataset.train.lengths, *dataset.test.lengths]) == [5, 5, 6, 6, 7, 7]
    values = dataset.train.x[0, :, 5, 5, 0].astype(int)
    np.testing.assert_allclose(values[:5], 40 * np.arange(5), atol=6)
    (tmp_path / "left" / "1.mp4").write_bytes(b"no video")
    with pytest.raises(data.DatasetError, match=r"1\.mp4 is damaged or no video"):
        data.load(tmp_path)


def test_pyav_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    for name in ("left", "right"):
        (tmp_path / name).mkdir()
        for clip in range(2):
            (tmp_path / name / f"{clip}.mp4").write_bytes(b"no video")
    with pytest.raises(ImportError, match=r"keras-residual\[video\]"):
        data.load(tmp_path)


@pytest.mark.parametrize("options", [{"rand_augment": 3.0}, {"augmentation": "imagenet"}])
def test_what_is_for_images_is_refused(options):
    split = data.load((X, Y, X, Y)).train
    with pytest.raises(ValueError, match="`augmentation` of clips must be"):
        data.in_step(split, training=True, **options)
