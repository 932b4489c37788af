"""Cameras that stall: silent, hung and frozen sources, and threads that are abandoned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from ferstream.capture.stage import MAX_ABANDONED
from ferstream.domain.event import CameraStatus
from ferstream.domain.frame import Frame, Luma
from ferstream.runtime.backoff import Backoff
from tests.support.builders import frame
from tests.support.cameras import CountingClock, ScriptedCamera, timings
from tests.support.runners import PATIENCE_S
from tests.support.sources import Hang, ScriptedSource, some_frames
from tests.support.threads import wait_until

S = CameraStatus


@pytest.fixture(autouse=True)
def threads(no_new_threads: None) -> Iterator[None]:
    """Every test proves that its threads ended."""
    yield


def test_a_silent_camera_is_stalled_and_reconnected() -> None:
    silent = ScriptedSource(some_frames(1), linger=True)
    camera = ScriptedCamera([silent, ScriptedSource(some_frames(1), linger=True)], timings=timings(stall_after_s=0.05)).start()
    camera.until(lambda: camera.statuses.count(S.ONLINE) >= 2).finish()
    assert camera.statuses[:5] == [S.CONNECTING, S.ONLINE, S.STALLED, S.RECONNECTING, S.ONLINE]
    assert "no picture for 0.05 s" in camera.states[2].reason
    assert camera.counters.snapshot().reconnects[("door", "stalled")] >= 1
    assert silent.closed
    assert camera.runner.abandoned == 0


def test_a_stall_is_reported_before_the_source_is_closed() -> None:
    hang = Hang()
    camera = ScriptedCamera([ScriptedSource([frame(0), hang])], timings=timings(stall_after_s=0.05)).start()
    camera.until(lambda: S.STALLED in camera.statuses)
    assert camera.statuses == [S.CONNECTING, S.ONLINE, S.STALLED]
    assert camera.counters.snapshot().cameras_up == {"door": False}
    hang.release()
    camera.finish()


def test_a_connection_that_hangs_is_abandoned() -> None:
    hang = Hang()
    limits = timings(connect_within_s=0.05, grace_s=0.01)
    camera = ScriptedCamera([ScriptedSource(opening=hang), ScriptedSource(some_frames(1), linger=True)], timings=limits).start()
    camera.until(lambda: S.ONLINE in camera.statuses)
    assert camera.runner.abandoned == 1
    hang.release()
    wait_until(lambda: camera.runner.abandoned == 0)
    camera.finish()


def test_frames_of_an_abandoned_read_are_discarded() -> None:
    hang = Hang()
    late = ScriptedSource([frame(0), hang, *some_frames(5, first=100)])
    limits = timings(stall_after_s=0.05, grace_s=0.01)
    camera = ScriptedCamera([late, ScriptedSource(some_frames(1), linger=True)], timings=limits).start()
    camera.until(lambda: camera.statuses.count(S.ONLINE) == 2)
    assert camera.counters.snapshot().counts[("capture_abandoned", "door")] >= 1
    hang.release()
    wait_until(lambda: camera.runner.abandoned == 0)
    camera.finish()
    assert [frame.info.index for frame in camera.frames][:2] == [0, 1]
    assert all(frame.info.index < 100 for frame in camera.frames)


def test_too_many_hung_reads_ask_for_a_restart() -> None:
    hangs = [Hang() for _ in range(MAX_ABANDONED)]
    limits = timings(connect_within_s=0.01, grace_s=0.001)
    camera = ScriptedCamera([ScriptedSource(opening=hang) for hang in hangs], timings=limits).start()
    camera.until(lambda: len(camera.fatal) > 0)
    assert "hang for good" in str(camera.fatal[0])
    for hang in hangs:
        hang.release()
    camera.runner.stop()
    wait_until(lambda: camera.runner.join(PATIENCE_S))


def test_decoding_without_frames_is_not_a_stall() -> None:
    source = ScriptedSource(some_frames(1), linger=True)
    source.last_activity_ns = 2**62
    clock = CountingClock()
    camera = ScriptedCamera([source], timings=timings(stall_after_s=10, check_every_s=0.001), clock=clock).start()
    camera.until(lambda: S.ONLINE in camera.statuses)
    clock.advance_and_wait(60)
    assert S.STALLED not in camera.statuses
    camera.finish()


# -- frozen pictures -----------------------------------------------------------------------------


def pictures(seconds: int, *, moving: bool, rate: int = 5) -> list[Frame]:
    made = []
    for index in range(seconds * rate):
        plane = np.full((48, 64), index % 250 if moving else 128, np.uint8)
        base = frame(index, live=True, captured_ns=index * 10**9 // rate)
        made.append(Frame(base.info, Luma(plane, limited=False), base.detection_image))
    return made


def test_a_frozen_picture_is_a_stall() -> None:
    frozen = ScriptedSource(pictures(10, moving=False), linger=True)
    camera = ScriptedCamera([frozen], timings=timings(frozen_after_s=5.0)).start()
    camera.until(lambda: bool(camera.counters.snapshot().reconnects)).finish()
    assert camera.statuses[:4] == [S.CONNECTING, S.ONLINE, S.STALLED, S.RECONNECTING]
    assert "frozen picture for 5 s" in camera.states[2].reason
    assert camera.counters.snapshot().reconnects == {("door", "frozen"): 1}


@pytest.mark.parametrize(("moving", "after_s"), [(True, 5.0), (False, 0.0)])
def test_moving_pictures_and_a_disabled_check_are_not_a_stall(moving: bool, after_s: float) -> None:
    camera = ScriptedCamera([ScriptedSource(pictures(10, moving=moving), linger=True)], timings=timings(frozen_after_s=after_s)).start()
    camera.until(lambda: len(camera.frames) == 50).finish()
    assert S.STALLED not in camera.statuses


def test_a_still_recording_is_not_frozen() -> None:
    still = [picture.with_info(replace(picture.info, live=False)) for picture in pictures(10, moving=False)]
    camera = ScriptedCamera([ScriptedSource(still)], live=False, timings=timings(frozen_after_s=1.0)).start().wait_for_end()
    assert len(camera.frames) == 50


# -- neighbours ----------------------------------------------------------------------------------


def test_a_hung_camera_does_not_delay_another() -> None:
    hang = Hang()
    hung = ScriptedCamera([ScriptedSource([frame(0), hang])], timings=timings(stall_after_s=0.05, grace_s=0.01)).start()
    assert hang.reached.wait(PATIENCE_S)
    well = ScriptedCamera([ScriptedSource(some_frames(200), linger=True)]).start()
    well.until(lambda: len(well.frames) == 200).finish()
    hang.release()
    wait_until(lambda: hung.runner.abandoned == 0)
    hung.finish()


def test_two_cameras_of_one_server_reconnect_at_different_times() -> None:
    waits = [[Backoff().next_s() for _ in range(8)] for _ in range(2)]
    assert waits[0] != waits[1]
