"""Counts of decoded pictures, times of frames, and activity."""

from __future__ import annotations

import pytest

from ferstream.capture.framing import Framer
from ferstream.capture.options import FrameOptions
from ferstream.runtime.counters import Counters
from tests.support.builders import frame_info
from tests.support.clips import picture
from tests.support.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def framer(clock: FakeClock, counters: Counters) -> Framer:
    return Framer(camera="door", options=FrameOptions(width=64, analysis_fps=10), live=True, observer=counters, clock=clock)


def test_utc_comes_from_the_clock_or_from_the_origin(framer: Framer, clock: FakeClock) -> None:
    live = framer.video_frame(picture("yuv420p"), 0)
    framer.utc_origin_ns = 7
    recorded = framer.video_frame(picture("yuv420p"), 100_000_000)
    assert live is not None
    assert recorded is not None
    assert live.info.captured_at_ns == clock.utc_ns()
    assert recorded.info.captured_at_ns == 100_000_007


def test_a_skipped_frame_is_counted_and_not_converted(framer: Framer, counters: Counters) -> None:
    frames = [framer.video_frame(picture("yuv420p"), media_ns) for media_ns in (0, 20_000_000, 100_000_000)]
    assert [frame is not None for frame in frames] == [True, False, True]
    assert frames[2] is not None
    assert frames[2].info.index == 2
    snapshot = counters.snapshot()
    assert snapshot.frames == {("door", "decode"): 3}
    assert snapshot.durations["capture"].count == 1  # the second one is converted when it is used


def conversions(counters: Counters) -> int:
    """Number of detection images that were made."""
    snapshot = counters.snapshot()
    return snapshot.durations["capture"].count if "capture" in snapshot.durations else 0


def test_live_pictures_but_the_first_are_converted_when_they_are_used(framer: Framer, counters: Counters) -> None:
    first, second = (framer.video_frame(picture("yuv420p"), media_ns) for media_ns in (0, 100_000_000))
    assert conversions(counters) == 1
    assert first is not None
    assert second is not None
    image = second.detection_image
    assert conversions(counters) == 2
    assert second.detection_image is image  # made once
    assert (image == first.detection_image).all()
    assert conversions(counters) == 2


def test_pictures_of_recordings_are_converted_at_once(clock: FakeClock, counters: Counters) -> None:
    framer = Framer(camera="film", options=FrameOptions(width=64), live=False, observer=counters, clock=clock)
    for media_ns in (0, 40_000_000, 80_000_000):
        framer.video_frame(picture("yuv420p"), media_ns)
    assert conversions(counters) == 3


def test_a_frame_with_another_identity_is_converted_once_and_later(framer: Framer, counters: Counters) -> None:
    framer.video_frame(picture("yuv420p"), 0)
    frame = framer.video_frame(picture("yuv420p"), 100_000_000)
    assert frame is not None
    renumbered = frame.with_info(frame_info(7))
    assert conversions(counters) == 1
    assert renumbered.info.index == 7
    assert renumbered.detection_image.shape == (32, 64, 3)
    assert conversions(counters) == 2


def test_damaged_pictures_are_counted(framer: Framer, counters: Counters) -> None:
    framer.count_damaged(2)
    framer.count_damaged()
    assert counters.snapshot().dropped == {("door", "decode", "damaged"): 3}


def test_damaged_pictures_are_activity_for_30_seconds(framer: Framer, clock: FakeClock) -> None:
    framer.video_frame(picture("yuv420p"), 0)
    clock.advance(29)
    framer.count_damaged()
    assert framer.last_activity_ns == clock.monotonic_ns()
    last = framer.last_activity_ns
    clock.advance(2)
    framer.count_damaged()
    assert framer.last_activity_ns == last


def test_damaged_pictures_before_the_first_good_one_are_no_activity(framer: Framer) -> None:
    framer.count_damaged()
    assert framer.last_activity_ns == 0
