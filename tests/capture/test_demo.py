"""The built-in clip: the same on every machine, with faces that enter, stay and leave."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from ferstream.capture.demo import DemoSource
from ferstream.capture.demo_clip import PERIOD_S, installed_portraits
from ferstream.capture.geometry import PictureOptions
from ferstream.capture.options import FrameOptions
from ferstream.domain.frame import Frame
from ferstream.errors import SourceError
from ferstream.runtime.counters import Counters
from tests.support.clock import FakeClock
from tests.support.sources import frames_of
from tests.support.threads import Task


def clip(counters: Counters, *, seconds: float, analysis_fps: float = 0.0) -> list[Frame]:
    return frames_of(
        DemoSource(camera="demo", observer=counters, realtime=False, seconds=seconds, options=FrameOptions(analysis_fps=analysis_fps))
    )


def test_frames_are_a_function_of_their_number(counters: Counters) -> None:
    for one, two in zip(clip(counters, seconds=2), clip(counters, seconds=2), strict=True):
        np.testing.assert_array_equal(one.luma.plane, two.luma.plane)
        np.testing.assert_array_equal(one.detection_image, two.detection_image)
        assert (one.info.index, one.info.media_time_ns, one.info.captured_at_ns) == (
            two.info.index,
            two.info.media_time_ns,
            two.info.captured_at_ns,
        )


def test_the_clip_has_the_requested_length(counters: Counters) -> None:
    source = DemoSource(camera="demo", observer=counters, realtime=False, seconds=3)
    info = source.open()
    assert (info.width, info.height, info.fps, info.frames, info.duration_s) == (960, 540, 25, 75, 3.0)
    assert len(list(source.frames())) == 75


def test_analysis_fps_picks_frames(counters: Counters) -> None:
    assert len(clip(counters, seconds=4, analysis_fps=5)) == 21
    assert counters.snapshot().frames == {("demo", "decode"): 100}


def test_a_face_enters_stays_and_leaves(counters: Counters) -> None:
    portraits = tuple(islice(installed_portraits(), 1))
    frames = frames_of(
        DemoSource(
            camera="demo", observer=counters, realtime=False, seconds=PERIOD_S, options=FrameOptions(analysis_fps=1), portraits=portraits
        )
    )
    empty = frames[-1].luma.plane
    busy = [float((frame.luma.plane != empty).mean()) for frame in frames]
    assert busy[5] > 0.2
    assert busy[0] < 0.05
    assert busy[10] == busy[11] == 0


def test_luma_and_colour_show_the_same(counters: Counters) -> None:
    import cv2

    frame = clip(counters, seconds=5, analysis_fps=0.2)[-1]
    small = cv2.cvtColor(frame.detection_image, cv2.COLOR_BGR2GRAY).astype(float)
    plane = cv2.resize(frame.luma.plane, (small.shape[1], small.shape[0]), interpolation=cv2.INTER_AREA).astype(float)
    assert np.abs(small - plane).mean() < 4


def test_real_time_waits_and_close_interrupts(counters: Counters, no_new_threads: None) -> None:
    clock = FakeClock()
    source = DemoSource(camera="demo", observer=counters, clock=clock)
    source.open()
    frames = source.frames()
    first = next(frames)
    assert first.info.live
    assert first.info.captured_at_ns == clock.utc_ns()
    waiting = Task(lambda: next(frames, None))
    source.close()
    assert waiting.result() is None


def test_without_portraits_the_error_names_what_to_install(counters: Counters) -> None:
    with pytest.raises(SourceError, match="pip install matplotlib"):
        DemoSource(camera="demo", observer=counters, portraits=()).open()


def test_a_damaged_portrait_is_an_error(counters: Counters, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"no picture")
    with pytest.raises(SourceError, match="is damaged"):
        DemoSource(camera="demo", observer=counters, portraits=[path]).open()


def test_the_clip_is_turned_and_stretched_as_the_settings_say(counters: Counters) -> None:
    options = FrameOptions(picture=PictureOptions(rotate=270, pixel_aspect=2.0))
    plain = DemoSource(camera="demo", observer=counters, realtime=False, seconds=0.1)
    source = DemoSource(camera="demo", observer=counters, realtime=False, seconds=0.1, options=options)
    info = source.open()
    turned, frame = next(source.frames()), next(plain.frames())
    assert (turned.info.width, turned.info.height) == (info.width, info.height) == (frame.info.height, frame.info.width)
    np.testing.assert_array_equal(turned.luma.plane, np.rot90(frame.luma.plane))
    height, width = turned.detection_image.shape[:2]
    assert height / width == pytest.approx(2 * frame.info.width / frame.info.height, rel=0.1)
