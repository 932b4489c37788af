"""A camera's life: connected, watched, given up, connected again, stopped; hung reads stay behind and are silent."""

from __future__ import annotations

import gc
import random
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from ferstream.capture.source import Source
from ferstream.capture.stage import MAX_ABANDONED, CameraRunner
from ferstream.domain.event import CameraState, CameraStatus
from ferstream.domain.frame import Frame, Luma
from ferstream.errors import ClosedError, SourceAuthError, SourceError, SourceTimeoutError
from ferstream.runtime.backoff import Backoff
from ferstream.runtime.counters import Counters
from tests.support.builders import frame
from tests.support.runners import PATIENCE_S
from tests.support.sources import Hang, ScriptedSource, Step, some_frames
from tests.support.threads import wait_until

S = CameraStatus


@dataclass
class Camera:
    """A runner and what came out of it."""

    sources: Sequence[Source | BaseException]
    live: bool = True
    emit: Callable[[Frame], None] = lambda frame: None
    options: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.counters = Counters()
        self.frames: list[Frame] = []
        self.states: list[CameraState] = []
        self.fatal: list[BaseException] = []
        self.ended = threading.Event()
        self._next = iter(self.sources)
        self.runner = CameraRunner(
            camera="door",
            connect=self._connect,
            live=self.live,
            emit=self._emit,
            on_state=self.states.append,
            on_end=self.ended.set,
            observer=self.counters,
            backoff=Backoff(floor_s=0.001, cap_s=0.002, rng=random.Random(1)),
            on_fatal=lambda name, exc: self.fatal.append(exc),
            **{"grace_s": PATIENCE_S, **self.options},  # type: ignore[arg-type]
        )

    def _connect(self) -> Source:
        source = next(self._next, None)
        if source is None:
            return ScriptedSource(linger=True)
        if isinstance(source, BaseException):
            raise source
        return source

    def _emit(self, frame: Frame) -> None:
        self.emit(frame)
        self.frames.append(frame)

    @property
    def statuses(self) -> list[CameraStatus]:
        return [state.status for state in self.states]

    def start(self) -> Camera:
        self.runner.start()
        return self

    def finish(self) -> Camera:
        self.runner.stop()
        assert self.runner.join(PATIENCE_S)
        assert self.ended.is_set()
        return self

    def until(self, is_so: Callable[[], bool]) -> Camera:
        wait_until(is_so)
        return self

    def run_out(self) -> Camera:
        """For recordings: wait for the end."""
        assert self.ended.wait(PATIENCE_S)
        assert self.runner.join(PATIENCE_S)
        return self


@pytest.fixture(autouse=True)
def threads(no_new_threads: None) -> Iterator[None]:
    """Every test here proves that its threads are dead."""
    yield


# -- recordings ----------------------------------------------------------------------------------


def test_a_recording_is_read_once() -> None:
    camera = Camera([ScriptedSource(some_frames(3, live=False))], live=False).start().run_out()
    assert [frame.info.index for frame in camera.frames] == [0, 1, 2]
    assert camera.statuses == [S.CONNECTING, S.ONLINE, S.OFFLINE]
    assert camera.states[-1].reason == "end of the recording"
    assert camera.runner.failure is None
    assert camera.counters.snapshot().frames == {("door", "capture"): 3}
    assert camera.counters.snapshot().cameras_up == {"door": False}


def test_a_recording_that_cannot_be_opened_is_offline_with_the_reason() -> None:
    camera = Camera([ScriptedSource(opening=SourceError("a.mp4: no such file"))], live=False).start().run_out()
    assert camera.statuses == [S.CONNECTING, S.OFFLINE]
    assert camera.states[-1].reason == "a.mp4: no such file"
    assert str(camera.runner.failure) == "a.mp4: no such file"


def test_a_recording_that_breaks_in_the_middle_keeps_what_came_before() -> None:
    camera = Camera([ScriptedSource([*some_frames(2, live=False), SourceError("broke")])], live=False).start().run_out()
    assert len(camera.frames) == 2
    assert camera.statuses == [S.CONNECTING, S.ONLINE, S.OFFLINE]
    assert isinstance(camera.runner.failure, SourceError)


def test_an_unforeseen_error_is_told_not_swallowed() -> None:
    camera = Camera([ScriptedSource([ZeroDivisionError("oops")])], live=False).start().run_out()
    assert "ZeroDivisionError while reading: oops" in camera.states[-1].reason
    assert isinstance(camera.runner.failure, SourceError)


def test_waiting_for_the_reader_is_no_stall() -> None:
    gate = threading.Event()
    camera = Camera([ScriptedSource(some_frames(2, live=False))], live=False, options={"stall_after_s": 0.01})
    camera.emit = lambda frame: wait_until(gate.is_set)
    camera.start()
    camera.runner.join(0.2)
    assert S.STALLED not in camera.statuses
    gate.set()
    camera.run_out()
    assert len(camera.frames) == 2


# -- reconnecting --------------------------------------------------------------------------------


def test_a_live_camera_comes_back_and_goes_on_counting() -> None:
    broken = SourceTimeoutError("no answer")
    sources = [ScriptedSource([*some_frames(3), broken]), ScriptedSource(some_frames(2), linger=True)]
    camera = Camera(sources).start()
    camera.until(lambda: len(camera.frames) == 5).until(lambda: camera.statuses.count(S.ONLINE) == 2).finish()
    assert [frame.info.index for frame in camera.frames] == [0, 1, 2, 3, 4]
    times = [frame.info.media_time_ns for frame in camera.frames]
    assert times == sorted(set(times))
    assert camera.statuses == [S.CONNECTING, S.ONLINE, S.RECONNECTING, S.ONLINE, S.OFFLINE]
    assert camera.counters.snapshot().reconnects == {("door", "timeout"): 1}
    assert all(source.closed for source in sources)


def test_several_failures_are_offline_but_it_goes_on_trying() -> None:
    failures = [ScriptedSource(opening=SourceError("refused")) for _ in range(5)]
    camera = Camera([*failures, ScriptedSource(some_frames(1), linger=True)]).start()
    camera.until(lambda: S.ONLINE in camera.statuses).finish()
    assert camera.statuses == [S.CONNECTING, S.RECONNECTING, S.OFFLINE, S.ONLINE, S.OFFLINE]
    assert camera.counters.snapshot().reconnects == {("door", "error"): 5}


def test_refused_credentials_are_offline_at_once_and_not_hammered() -> None:
    camera = Camera([ScriptedSource(opening=SourceAuthError("authentication failed"))]).start()
    camera.until(lambda: S.OFFLINE in camera.statuses)
    assert camera.statuses == [S.CONNECTING, S.OFFLINE]
    camera.finish()
    assert camera.counters.snapshot().reconnects == {}


def test_a_secret_in_an_error_is_not_shown() -> None:
    camera = Camera([ScriptedSource(opening=SourceError("rtsp://joe:hunter22@cam/1: broke"))]).start()
    camera.until(lambda: S.RECONNECTING in camera.statuses).finish()
    assert not any("hunter22" in state.reason for state in camera.states)


def test_making_the_source_may_fail_too() -> None:
    camera = Camera([SourceError("no driver"), ScriptedSource(some_frames(1), linger=True)]).start()
    camera.until(lambda: S.ONLINE in camera.statuses).finish()
    assert camera.statuses[:3] == [S.CONNECTING, S.RECONNECTING, S.ONLINE]


def test_the_end_of_a_stream_that_has_one_is_an_end() -> None:
    camera = Camera([ScriptedSource(some_frames(2))]).start().run_out()
    assert camera.states[-1].reason == "end of the recording"


def fail() -> None:
    raise ZeroDivisionError


def test_a_broken_connection_is_freed_at_once() -> None:
    gc.collect()
    gc.disable()
    try:
        ends: list[Step] = [SourceError("broke"), fail, SourceTimeoutError("slow")]
        sources = [ScriptedSource([*some_frames(2), end]) for end in ends]
        del ends
        there = [weakref.ref(source) for source in sources]
        camera = Camera(iter(sources))  # type: ignore[arg-type]
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
    camera = Camera([source]).start()
    camera.until(lambda: len(camera.frames) == 1).finish()
    assert source.closed
    assert camera.states[-1] == replace(camera.states[-1], status=S.OFFLINE, reason="stopped", fps=0.0)


def test_stop_while_waiting_to_reconnect() -> None:
    camera = Camera([ScriptedSource(opening=SourceAuthError("no"))]).start()
    camera.until(lambda: S.OFFLINE in camera.statuses).finish()


def test_stop_while_connecting() -> None:
    hang = Hang()
    source = ScriptedSource(opening=hang)
    camera = Camera([source]).start()
    assert hang.reached.wait(PATIENCE_S)
    camera.runner.stop()
    wait_until(lambda: source.closed)
    hang.release()
    assert camera.runner.join(PATIENCE_S)
    assert camera.frames == []


def test_a_stop_does_not_wait_for_a_read_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ferstream.capture.stage.STOP_GRACE_S", 0.01)
    hang = Hang()
    camera = Camera([ScriptedSource(opening=hang)], options={"grace_s": 10 * PATIENCE_S}).start()
    assert hang.reached.wait(PATIENCE_S)
    camera.finish()
    assert camera.runner.abandoned == 1
    hang.release()
    wait_until(lambda: camera.runner.abandoned == 0)


def test_a_stop_ends_the_wait_for_a_stalled_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ferstream.capture.stage.STOP_GRACE_S", 0.01)
    hang = Hang()
    source = ScriptedSource([frame(0), hang])
    camera = Camera([source], options={"stall_after_s": 0.05, "grace_s": 10 * PATIENCE_S}).start()
    wait_until(lambda: source.closed)  # the watching thread waits for the reading one by now
    camera.finish()
    assert camera.runner.abandoned == 1
    hang.release()
    wait_until(lambda: camera.runner.abandoned == 0)


def test_stop_before_start_and_twice() -> None:
    camera = Camera([])
    camera.runner.stop()
    assert camera.runner.join(1)
    camera.start()
    camera.finish()
    camera.runner.stop()
    assert camera.statuses[-1] is S.OFFLINE


def test_starting_twice_is_an_error() -> None:
    camera = Camera([]).start()
    with pytest.raises(RuntimeError):
        camera.runner.start()
    camera.finish()


def test_the_end_of_the_pipeline_ends_the_camera() -> None:
    camera = Camera([ScriptedSource(some_frames(3), linger=True)])

    def closed(frame: Frame) -> None:
        raise ClosedError("closed")

    camera.emit = closed
    camera.start().run_out()
    assert camera.statuses[-1] is S.OFFLINE
    assert camera.counters.snapshot().frames == {("door", "capture"): 1}


# -- stalls --------------------------------------------------------------------------------------


def test_a_silent_camera_is_stalled_and_connected_anew() -> None:
    silent = ScriptedSource(some_frames(1), linger=True)
    camera = Camera([silent, ScriptedSource(some_frames(1), linger=True)], options={"stall_after_s": 0.05}).start()
    camera.until(lambda: camera.statuses.count(S.ONLINE) >= 2).finish()
    assert camera.statuses[:5] == [S.CONNECTING, S.ONLINE, S.STALLED, S.RECONNECTING, S.ONLINE]
    assert "no picture for 0.05 s" in camera.states[2].reason
    assert camera.counters.snapshot().reconnects[("door", "stalled")] >= 1
    assert silent.closed
    assert camera.runner.abandoned == 0


def test_a_stall_is_told_before_the_source_is_closed() -> None:
    hang = Hang()
    camera = Camera([ScriptedSource([frame(0), hang])], options={"stall_after_s": 0.05}).start()
    camera.until(lambda: S.STALLED in camera.statuses)
    assert camera.statuses == [S.CONNECTING, S.ONLINE, S.STALLED]
    assert camera.counters.snapshot().cameras_up == {"door": False}
    hang.release()
    camera.finish()


def test_a_hung_connection_is_given_up_too() -> None:
    hang = Hang()
    options = {"connect_within_s": 0.05, "grace_s": 0.01}
    camera = Camera([ScriptedSource(opening=hang), ScriptedSource(some_frames(1), linger=True)], options=options).start()
    camera.until(lambda: S.ONLINE in camera.statuses)
    assert camera.runner.abandoned == 1
    hang.release()
    wait_until(lambda: camera.runner.abandoned == 0)
    camera.finish()


def test_a_hung_read_is_abandoned_and_says_nothing_any_more() -> None:
    hang = Hang()
    late = ScriptedSource([frame(0), hang, *some_frames(5, first=100)])
    options = {"stall_after_s": 0.05, "grace_s": 0.01}
    camera = Camera([late, ScriptedSource(some_frames(1), linger=True)], options=options).start()
    camera.until(lambda: camera.statuses.count(S.ONLINE) == 2)
    assert camera.counters.snapshot().counts[("capture_abandoned", "door")] >= 1
    hang.release()
    wait_until(lambda: camera.runner.abandoned == 0)
    camera.finish()
    assert [frame.info.index for frame in camera.frames][:2] == [0, 1]
    assert all(frame.info.index < 100 for frame in camera.frames)


def test_too_many_hung_reads_ask_for_a_restart() -> None:
    hangs = [Hang() for _ in range(MAX_ABANDONED)]
    options = {"connect_within_s": 0.01, "grace_s": 0.001}
    camera = Camera([ScriptedSource(opening=hang) for hang in hangs], options=options).start()
    camera.until(lambda: len(camera.fatal) > 0)
    assert "hang for good" in str(camera.fatal[0])
    for hang in hangs:
        hang.release()
    camera.runner.stop()
    wait_until(lambda: camera.runner.join(PATIENCE_S))


def test_a_decoder_that_works_without_yielding_is_no_stall() -> None:
    source = ScriptedSource(some_frames(1), linger=True)
    source.last_activity_ns = 2**62
    camera = Camera([source], options={"stall_after_s": 0.02}).start()
    camera.until(lambda: S.ONLINE in camera.statuses)
    camera.runner.join(0.1)
    assert S.STALLED not in camera.statuses
    camera.finish()


# -- frozen pictures -----------------------------------------------------------------------------


def pictures(seconds: int, *, moving: bool, rate: int = 5) -> list[Frame]:
    made = []
    for index in range(seconds * rate):
        plane = np.full((48, 64), index % 250 if moving else 128, np.uint8)
        base = frame(index, live=True, captured_ns=index * 10**9 // rate)
        made.append(replace(base, luma=Luma(plane, limited=False)))
    return made


def test_a_frozen_picture_is_a_stall() -> None:
    frozen = ScriptedSource(pictures(10, moving=False), linger=True)
    camera = Camera([frozen], options={"frozen_after_s": 5.0}).start()
    camera.until(lambda: bool(camera.counters.snapshot().reconnects)).finish()
    assert camera.statuses[:4] == [S.CONNECTING, S.ONLINE, S.STALLED, S.RECONNECTING]
    assert "frozen picture for 5 s" in camera.states[2].reason
    assert camera.counters.snapshot().reconnects == {("door", "frozen"): 1}


@pytest.mark.parametrize(("moving", "after_s"), [(True, 5.0), (False, 0.0)])
def test_moving_pictures_and_switched_off_detection_are_no_stall(moving: bool, after_s: float) -> None:
    camera = Camera([ScriptedSource(pictures(10, moving=moving), linger=True)], options={"frozen_after_s": after_s}).start()
    camera.until(lambda: len(camera.frames) == 50).finish()
    assert S.STALLED not in camera.statuses


def test_a_still_recording_is_not_frozen() -> None:
    still = [replace(picture, info=replace(picture.info, live=False)) for picture in pictures(10, moving=False)]
    camera = Camera([ScriptedSource(still)], live=False, options={"frozen_after_s": 1.0}).start().run_out()
    assert len(camera.frames) == 50


# -- neighbours ----------------------------------------------------------------------------------


def test_a_hung_camera_does_not_hold_up_another() -> None:
    hang = Hang()
    hung = Camera([ScriptedSource([frame(0), hang])], options={"stall_after_s": 0.05, "grace_s": 0.01}).start()
    assert hang.reached.wait(PATIENCE_S)
    well = Camera([ScriptedSource(some_frames(200), linger=True)]).start()
    well.until(lambda: len(well.frames) == 200).finish()
    hang.release()
    wait_until(lambda: hung.runner.abandoned == 0)
    hung.finish()


def test_two_cameras_of_one_server_do_not_come_back_in_step() -> None:
    waits = [[Backoff().next_s() for _ in range(8)] for _ in range(2)]
    assert waits[0] != waits[1]
