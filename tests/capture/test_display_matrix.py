"""Real files with display matrices: luma, detection image and sizes agree with what a player shows."""

from __future__ import annotations

import gc
import io
import math
import random
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import av
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext
from av.video.stream import VideoStream
from PIL import Image

from ferstream.capture.display_matrix import VideoOrientation
from ferstream.capture.geometry import Orientation, PictureOptions
from ferstream.capture.options import FrameOptions
from ferstream.capture.recording import FileSource
from ferstream.domain.frame import Frame
from ferstream.runtime.counters import Counters
from tests.support import clips
from tests.support.shaped_clips import EIGHT, displayed, matrix, stored, write_matrix, write_pictures
from tests.support.sources import frames_of

Read = Callable[..., FileSource]
CARD = clips.card()
IDENTITY = EIGHT["as stored"]


def shows(frame: Frame, expected: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> None:
    """Assert that all parts of a frame show a (h, w, 3) RGB test card."""
    grey = clips.quarters(expected @ np.array([0.299, 0.587, 0.114]))
    luma = (clips.quarters(frame.luma.plane) - 16) * 255 / 219
    assert frame.luma.plane.shape == (frame.info.height, frame.info.width) == expected.shape[:2]
    np.testing.assert_allclose(luma, grey, atol=12)
    np.testing.assert_allclose(clips.quarters(frame.detection_image), clips.quarters(expected[:, :, ::-1]), atol=12)
    assert frame.detection_image.flags.c_contiguous
    assert not frame.luma.plane.flags.writeable


def write(path: Path, picture: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], numbers: Sequence[int]) -> Path:
    return write_matrix(write_pictures(path, [picture] * 3), numbers)


@pytest.mark.parametrize("suffix", ["mp4", "mov"])
@pytest.mark.parametrize("name", EIGHT)
def test_each_of_the_eight_orientations_is_brought_upright(name: str, suffix: str, read: Read, tmp_path: Path) -> None:
    path = write(tmp_path / f"phone.{suffix}", stored(CARD, EIGHT[name]), matrix(*EIGHT[name]))
    source = read(path)
    info = source.open()
    source.close()
    assert (info.width, info.height) == clips.SIZE
    shows(frames_of(read(path))[-1], CARD)


@pytest.mark.parametrize("seed", range(8))
def test_a_matrix_turned_a_little_is_the_nearest_quarter_turn(seed: int, read: Read, tmp_path: Path) -> None:
    chance = random.Random(seed)
    a, b, c, d = chance.choice(list(EIGHT.values()))
    degrees, scale = chance.uniform(-30, 30), chance.uniform(0.5, 2)
    cos, sin = scale * math.cos(math.radians(degrees)), scale * math.sin(math.radians(degrees))
    numbers = matrix(cos * a - sin * b, sin * a + cos * b, cos * c - sin * d, sin * c + cos * d)
    shows(frames_of(read(write(tmp_path / "held.mp4", stored(CARD, (a, b, c, d)), numbers)))[0], CARD)


@pytest.mark.parametrize(
    "numbers",
    [
        (0,) * 9,
        (-1,) * 9,
        (2**31 - 1,) * 9,
        matrix(-1, 1, -1, 1),
        matrix(-1, 0, 0.6, -1),
        matrix(0, 0, 0, -1),
        (-65536, 0, 1 << 22, 0, -65536, 0, 0, 0, 1 << 30),
    ],
    ids=["zero", "ones", "largest", "singular", "sheared", "flat", "perspective"],
)
def test_a_matrix_of_nonsense_changes_nothing(numbers: tuple[int, ...], read: Read, tmp_path: Path) -> None:
    shows(frames_of(read(write(tmp_path / "odd.mp4", CARD, numbers)))[0], CARD)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_the_projection_of_a_matroska_file_is_a_display_matrix(degrees: int, read: Read, tmp_path: Path) -> None:
    path = tmp_path / "turned.mkv"
    numbers = {0: IDENTITY, 90: EIGHT["turned 270 clockwise"], 180: EIGHT["turned 180"], 270: EIGHT["turned 90 clockwise"]}[degrees]
    picture = stored(CARD, numbers)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        assert isinstance(stream, VideoStream)
        if not hasattr(stream, "set_display_rotation"):
            pytest.skip("this PyAV cannot write a display matrix")
        stream.set_display_rotation(degrees)
        stream.height, stream.width = picture.shape[:2]
        stream.pix_fmt = "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
        container.mux(stream.encode(None))
    shows(frames_of(read(path))[0], CARD)


@pytest.mark.parametrize("suffix", ["h264", "ts", "mkv"])
def test_an_orientation_inside_the_video_turns_it(suffix: str, read: Read, tmp_path: Path) -> None:
    """The encoder of a camera states it in a message of the H.264 stream, and no container is needed."""
    numbers = EIGHT["turned 270 clockwise"]
    plain = write_pictures(tmp_path / "plain.h264", [stored(CARD, numbers)] * 4)
    path = tmp_path / f"camera.{suffix}"
    with av.open(str(plain)) as before, av.open(str(path), "w") as after:
        stream = before.streams.video[0]
        out = after.add_stream_from_template(stream)
        turn = BitStreamFilterContext("h264_metadata=display_orientation=insert:rotate=90", stream, out)
        for number, packet in enumerate(packet for packet in before.demux(stream) if packet.size):
            for changed in turn.filter(packet):
                changed.stream, changed.pts, changed.dts = out, number * 3600, number * 3600
                after.mux(changed)
    frames = frames_of(read(path))
    assert len(frames) >= 3
    for frame in frames:
        shows(frame, CARD)


def test_settings_turn_what_the_file_displays(read: Read, tmp_path: Path) -> None:
    numbers = EIGHT["turned 90 clockwise"]
    path = write(tmp_path / "ceiling.mp4", CARD, matrix(*numbers))
    options = FrameOptions(picture=PictureOptions(rotate=180, mirror=True))
    frame = frames_of(read(path, options=options))[0]
    shows(frame, displayed(displayed(displayed(CARD, numbers), EIGHT["turned 180"]), EIGHT["left and right exchanged"]))


def test_the_luma_of_a_turned_picture_is_still_a_view_of_the_decoded_one(counters: Counters, tmp_path: Path, read: Read) -> None:
    for name in ("turned 90 clockwise", "left and right exchanged"):
        path = write(tmp_path / "phone.mp4", CARD, matrix(*EIGHT[name]))
        plane = frames_of(read(path))[0].luma.plane
        assert not plane.flags.owndata and not plane.flags.c_contiguous


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_orientation_of_mjpeg_is_a_display_matrix(orientation: int, read: Read, tmp_path: Path) -> None:
    """PyAV does not know side data of this kind, and refuses to list it."""
    names = ["as stored", "left and right exchanged", "turned 180", "top and bottom exchanged"]
    names += ["transposed", "turned 90 clockwise", "transposed at the other diagonal", "turned 270 clockwise"]
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = Image.fromarray(stored(CARD, EIGHT[names[orientation - 1]]))
    data = io.BytesIO()
    picture.save(data, "jpeg", exif=exif, quality=95, subsampling=0)
    path = tmp_path / "camera.mjpeg"
    path.write_bytes(data.getvalue() * 3)
    frames = frames_of(read(path))
    assert len(frames) == 3
    for frame in frames:
        assert frame.luma.plane.shape == CARD.shape[:2]
        np.testing.assert_allclose(clips.quarters(frame.detection_image), clips.quarters(CARD[:, :, ::-1]), atol=14)


def test_a_decoded_picture_is_freed_without_the_garbage_collector(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", CARD, matrix(*EIGHT["turned 90 clockwise"]))
    with av.open(str(path)) as container:
        picture = next(container.decode(video=0))
    orientation = VideoOrientation()
    gc.collect()
    gc.disable()
    try:
        before = sys.getrefcount(picture)
        assert orientation.of(picture) == Orientation.turned(90)
        assert sys.getrefcount(picture) == before
    finally:
        gc.enable()
