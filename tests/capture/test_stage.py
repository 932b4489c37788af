"""The life of a camera: connected, reconnected after failures, stopped."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from dataclasses import replace

import pytest

from ferstream.domain.event import CameraStatus
from ferstream.domain.frame import Frame
from ferstream.errors import ClosedError, SourceAuthError, SourceError, SourceTimeoutError
from tests.support.builders import frame
from tests.support.cameras import CountingClock, ScriptedCamera, timings
from tests.support.runners import PATIENCE_S, Gate
from tests.support.sources import Hang, ScriptedSource, Step, some_frames
from tests.support.threads import wait_until

S = CameraStatus


@pytest.fixture(autouse=True)
def threads(no_new_threads: None) -> Iterator[None]:
    """Every test proves that its threads ended."""
    yield


# -- recordings ----------------------------------------------------------------------------------


def test_a_recording_is_read_once() -> None:
    camera = ScriptedCamera([ScriptedSource(some_frames(3, live=False))], live=False).start().wait_for_end()
    assert [frame.info.index for frame in camera.frames] == [0, 1, 2]
    assert camera.statuses == [S.CONNECTING, S.ONLINE, S.OFFLINE]
    assert camera.states[-1].reason == "end of the recording"
    assert camera.runner.failure is None
    assert camera.counters.snapshot().frames == {("door", "capture"): 3}
    assert camera.counters.snapshot().cameras_up == {"door": False}


def test_a_recording_that_cannot_be_opened_is_offline_with_the_reason() -> None:
    camera = ScriptedCamera([ScriptedSource(opening=SourceError("a.mp4: no such file"))], live=False).start().wait_for_end()
    assert camera.statuses == [S.CONNECTING, S.OFFLINE]
    assert camera.states[-1].reason == "a.mp4: no such file"
    assert str(camera.runner.failure) == "a.mp4: no such file"


def test_a_recording_that_breaks_in_the_middle_keeps_what_came_before() -> None:
    camera = ScriptedCamera([ScriptedSource([*some_frames(2, live=False), SourceError("broke")])], live=False).start().wait_for_end()
    assert len(camera.frames) == 2
    assert camera.statuses == [S.CONNECTING, S.ONLINE, S.OFFLINE]
    assert isinstance(camera.runner.failure, SourceError)


def test_an_unforeseen_error_is_the_reason_of_the_end() -> None:
    camera = ScriptedCamera([ScriptedSource([ZeroDivisionError("oops")])], live=False).start().wait_for_end()
    assert "ZeroDivisionError while reading: oops" in camera.states[-1].reason
    assert isinstance(camera.runner.failure, SourceError)


def test_waiting_for_the_pipeline_is_not_a_stall() -> None:
    gate, clock = Gate(), CountingClock()
    limits = timings(stall_after_s=10, check_every_s=0.001)
    source = ScriptedSource(some_frames(2, live=False))
    camera = ScriptedCamera([source], live=False, timings=limits, emit=lambda frame: gate(), clock=clock).start()
    assert gate.reached.wait(PATIENCE_S)
    clock.advance_and_wait(60)
    assert S.STALLED not in camera.statuses
    gate.open()
    camera.wait_for_end()
    assert len(camera.frames) == 2


# -- reconnecting --------------------------------------------------------------------------------


def test_a_live_camera_reconnects_and_continues_its_frame_numbers() -> None:
    broken = SourceTimeoutError("no answer")
    sources = [ScriptedSource([*some_frames(3), broken]), ScriptedSource(some_frames(2), linger=True)]
    camera = ScriptedCamera(sources).start()
    camera.until(lambda: len(camera.frames) == 5).until(lambda: camera.statuses.count(S.ONLINE) == 2).finish()
    assert [frame.info.index for frame in camera.frames] == [0, 1, 2, 3, 4]
    times = [frame.info.media_time_ns for frame in camera.frames]
    assert times == sorted(set(times))
    assert camera.statuses == [S.CONNECTING, S.ONLINE, S.RECONNECTING, S.ONLINE, S.OFFLINE]
    assert camera.counters.snapshot().reconnects == {("door", "timeout"): 1}
    assert all(source.closed for source in sources)


def test_a_camera_is_offline_after_several_failures_and_still_reconnects() -> None:
    failures = [ScriptedSource(opening=SourceError("refused")) for _ in range(5)]
    camera = ScriptedCamera([*failures, ScriptedSource(some_frames(1), linger=True)]).start()
    camera.until(lambda: S.ONLINE in camera.statuses).finish()
    assert camera.statuses == [S.CONNECTING, S.RECONNECTING, S.OFFLINE, S.ONLINE, S.OFFLINE]
    assert camera.counters.snapshot().reconnects == {("door", "error"): 5}


def test_refused_credentials_are_offline_at_once_and_not_repeated_soon() -> None:
    camera = ScriptedCamera([ScriptedSource(opening=SourceAuthError("authentication failed"))]).start()
    camera.until(lambda: S.OFFLINE in camera.statuses)
    assert camera.statuses == [S.CONNECTING, S.OFFLINE]
    camera.finish()
    assert camera.counters.snapshot().reconnects == {}


def test_a_secret_in_an_error_is_not_shown() -> None:
    camera = ScriptedCamera([ScriptedSource(opening=SourceError("rtsp://joe:hunter22@cam/1: broke"))]).start()
    camera.until(lambda: S.RECONNECTING in camera.statuses).finish()
    assert not any("hunter22" in state.reason for state in camera.states)


def test_a_source_that_cannot_be_made_is_a_failed_connection() -> None:
    camera = ScriptedCamera([SourceError("no driver"), ScriptedSource(some_frames(1), linger=True)]).start()
    camera.until(lambda: S.ONLINE in camera.statuses).finish()
    assert camera.statuses[:3] == [S.CONNECTING, S.RECONNECTING, S.ONLINE]


def test_a_stream_that_ends_without_an_error_is_at_its_end() -> None:
    camera = ScriptedCamera([ScriptedSource(some_frames(2))]).start().wait_for_end()
    assert camera.states[-1].reason == "end of the recording"


def fail() -> None:
    raise ZeroDivisionError


def test_a_broken_connection_is_freed_without_the_garbage_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        ends: list[Step] = [SourceError("broke"), fail, SourceTimeoutError("slow")]
        sources = [ScriptedSource([*some_frames(2), end]) for end in ends]
        del ends
        there = [weakref.ref(source) for source in sources]
        camera = ScriptedCamera(iter(sources))
        del sources
        camera.start().until(lambda: camera.statuses.count(S.ONLINE) == 3 and len(camera.frames) == 6)
        camera.until(lambda: camera.counters.snapshot().reconnects.get(("door", "timeout")) == 1)
        camera.finish()
        assert [source() for source in there] == [None, None, None]
    finally:
        gc.enable()


# -- stopping ------------------------------------------------------------------------------------


def test_stop_while_waiting_for_a_frame() -> None:
    source = ScriptedSource(some_frames(1), linger=True)
    camera = ScriptedCamera([source]).start()
    camera.until(lambda: len(camera.frames) == 1).finish()
    assert source.closed
    assert camera.states[-1] == replace(camera.states[-1], status=S.OFFLINE, reason="stopped", fps=0.0)


def test_stop_while_waiting_to_reconnect() -> None:
    camera = ScriptedCamera([ScriptedSource(opening=SourceAuthError("no"))]).start()
    camera.until(lambda: S.OFFLINE in camera.statuses).finish()


def test_stop_while_connecting() -> None:
    hang = Hang()
    source = ScriptedSource(opening=hang)
    camera = ScriptedCamera([source]).start()
    assert hang.reached.wait(PATIENCE_S)
    camera.runner.stop()
    wait_until(lambda: source.closed)
    hang.release()
    assert camera.runner.join(PATIENCE_S)
    assert camera.frames == []


def test_a_stop_abandons_a_read_that_hangs() -> None:
    hang = Hang()
    camera = ScriptedCamera([ScriptedSource(opening=hang)], timings=timings(grace_s=10 * PATIENCE_S, stop_grace_s=0.01)).start()
    assert hang.reached.wait(PATIENCE_S)
    camera.finish()
    assert camera.runner.abandoned == 1
    hang.release()
    wait_until(lambda: camera.runner.abandoned == 0)


def test_a_stop_ends_the_wait_for_a_stalled_source() -> None:
    hang = Hang()
    source = ScriptedSource([frame(0), hang])
    camera = ScriptedCamera([source], timings=timings(stall_after_s=0.05, grace_s=10 * PATIENCE_S, stop_grace_s=0.01)).start()
    wait_until(lambda: source.closed)  # now the watching thread waits for the reading thread
    camera.finish()
    assert camera.runner.abandoned == 1
    hang.release()
    wait_until(lambda: camera.runner.abandoned == 0)


def test_stop_before_start_and_a_second_stop_are_allowed() -> None:
    camera = ScriptedCamera([])
    camera.runner.stop()
    assert camera.runner.join(1)
    camera.start()
    camera.finish()
    camera.runner.stop()
    assert camera.statuses[-1] is S.OFFLINE


def test_starting_twice_is_an_error() -> None:
    camera = ScriptedCamera([]).start()
    with pytest.raises(RuntimeError):
        camera.runner.start()
    camera.finish()


def test_a_closed_pipeline_ends_the_camera() -> None:
    def closed(frame: Frame) -> None:
        raise ClosedError("closed")

    camera = ScriptedCamera([ScriptedSource(some_frames(3), linger=True)], emit=closed).start().wait_for_end()
    assert camera.statuses[-1] is S.OFFLINE
    assert camera.counters.snapshot().frames == {("door", "capture"): 1}
