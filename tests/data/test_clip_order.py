"""Clips as cameras and programs write them: numbers without zeros, rotation, stray files."""

import numpy as np
import pytest
from PIL import Image

from keras_residual import data, inference


def frames(folder, count=12, name="frame_{}.png"):
    folder.mkdir(parents=True)
    for number in range(count):
        shade = np.full((8, 10, 3), 10 * number, np.uint8)
        Image.fromarray(shade).save(folder / name.format(number))
    return folder


def test_frame_2_precedes_frame_10(tmp_path):
    clip = data.read_clip(frames(tmp_path / "clip"))
    np.testing.assert_array_equal(clip[:, 0, 0, 0], 10 * np.arange(12))


def test_hidden_files_are_no_frames(tmp_path):
    folder = frames(tmp_path / "clip", 3)
    (folder / "._frame_0.png").write_bytes(b"of another system")
    assert len(data.read_clip(folder)) == 3
    only = tmp_path / "only"
    only.mkdir()
    (only / "._frame_0.png").write_bytes(b"of another system")
    with pytest.raises(ValueError, match="holds no clip"):
        inference.clip_paths(only)


def test_frames_and_videos_of_other_formats_are_named(tmp_path):
    for name in ("a", "b"):
        for number in range(2):
            frames(tmp_path / name / f"{number}", 3)
    Image.new("RGB", (10, 8)).save(tmp_path / "a" / "0" / "9.webp")
    with pytest.raises(data.DatasetError, match=r"9\.webp is not of the formats that are read"):
        data.load(tmp_path, examples="clips")
    for name in ("a", "b"):
        (tmp_path / "videos" / name).mkdir(parents=True)
        for number in range(2):
            (tmp_path / "videos" / name / f"{number}.mp4").write_bytes(b"")
    (tmp_path / "videos" / "a" / "9.wmv").write_bytes(b"")
    with pytest.raises(data.DatasetError, match=r"9\.wmv is not of the formats that are read, MP4"):
        data.load(tmp_path / "videos")


def test_a_portrait_video_of_a_phone_is_turned(tmp_path):
    """Its pixels are landscape; the matrix of its track says how to turn them."""
    av = pytest.importorskip("av")
    path = tmp_path / "clip.mp4"
    picture = np.zeros((32, 48, 3), np.uint8)
    picture[:, :8] = 255
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    one, zero = (65536).to_bytes(4, "big"), bytes(4)
    end = bytes(12) + (2**30).to_bytes(4, "big")
    upright = one + 3 * zero + one + end
    turned = zero + one + zero + (2**32 - 65536).to_bytes(4, "big") + zero + end
    content = path.read_bytes()
    # The first matrix is that of the film, the second that of the track.
    place = content.index(upright, content.index(b"tkhd"))
    path.write_bytes(content[:place] + turned + content[place + len(turned) :])
    clip = data.read_clip(path)
    assert clip.shape == (3, 48, 32, 3)
    # Turned clockwise, the left edge becomes the upper one.
    assert clip[0, :4].mean() > 200 > 50 > clip[0, 20:].mean()
