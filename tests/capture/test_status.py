"""The state machine of a camera: allowed changes, one report for each, no secrets."""

from __future__ import annotations

import pytest

from ferstream.capture.status import TRANSITIONS, CameraStateMachine
from ferstream.domain.event import CameraState, CameraStatus
from ferstream.runtime.counters import Counters
from tests.support.clock import FakeClock

S = CameraStatus


@pytest.fixture
def reported() -> list[CameraState]:
    return []


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def machine(reported: list[CameraState], counters: Counters, clock: FakeClock) -> CameraStateMachine:
    made = CameraStateMachine(camera="door", on_state=reported.append, observer=counters, clock=clock)
    made.enter(S.CONNECTING)
    return made


def test_every_status_can_become_offline() -> None:
    assert all(S.OFFLINE in following for status, following in TRANSITIONS.items() if status is not None)


def test_connecting_comes_once() -> None:
    assert [status for status, following in TRANSITIONS.items() if S.CONNECTING in following] == [None]


def test_a_change_that_is_not_allowed_raises(machine: CameraStateMachine) -> None:
    machine.enter(S.STALLED, "no picture")
    with pytest.raises(RuntimeError, match="online cannot follow stalled"):
        machine.enter(S.ONLINE)


def test_an_equal_state_is_reported_once(machine: CameraStateMachine, reported: list[CameraState]) -> None:
    machine.enter(S.RECONNECTING, "refused")
    machine.enter(S.RECONNECTING, "refused")
    assert [state.status for state in reported] == [S.CONNECTING, S.RECONNECTING]


def test_another_reason_is_another_state(machine: CameraStateMachine, reported: list[CameraState]) -> None:
    machine.enter(S.RECONNECTING, "refused")
    machine.enter(S.RECONNECTING, "no answer")
    assert [state.reason for state in reported] == ["", "refused", "no answer"]


def test_since_is_the_time_of_the_change(machine: CameraStateMachine, reported: list[CameraState], clock: FakeClock) -> None:
    clock.advance(5)
    machine.enter(S.ONLINE)
    began = clock.utc_ns()
    clock.advance(7)
    machine.report_fps(25.0)
    assert [state.since_ns for state in reported[1:]] == [began, began]
    assert reported[-1].fps == 25.0


@pytest.mark.parametrize(("fps", "is_reported"), [(24.0, False), (26.9, False), (20.0, True), (30.0, True)])
def test_small_changes_of_fps_are_not_reported(
    machine: CameraStateMachine, reported: list[CameraState], fps: float, is_reported: bool
) -> None:
    machine.enter(S.ONLINE)
    machine.report_fps(25.0)
    machine.report_fps(fps)
    assert (reported[-1].fps == fps) is is_reported


def test_the_counters_receive_whether_the_camera_is_up(machine: CameraStateMachine, counters: Counters) -> None:
    machine.enter(S.ONLINE)
    assert counters.snapshot().cameras_up == {"door": True}
    machine.enter(S.OFFLINE, "stopped")
    assert counters.snapshot().cameras_up == {"door": False}


def test_no_secret_in_a_reason(machine: CameraStateMachine, reported: list[CameraState]) -> None:
    machine.enter(S.OFFLINE, "rtsp://joe:hunter2@cam/1: broke")
    assert "hunter2" not in reported[-1].reason
    assert "cam/1" in reported[-1].reason
