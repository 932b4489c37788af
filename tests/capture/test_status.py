"""A camera's state changes only as the table says, is told once, and never shows a secret."""

from __future__ import annotations

import pytest

from ferstream.capture.status import TRANSITIONS, Status
from ferstream.domain.event import CameraState, CameraStatus
from ferstream.runtime.counters import Counters
from tests.support.clock import FakeClock

S = CameraStatus


@pytest.fixture
def told() -> list[CameraState]:
    return []


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def status(told: list[CameraState], counters: Counters, clock: FakeClock) -> Status:
    made = Status(camera="door", on_state=told.append, observer=counters, clock=clock)
    made.enter(S.CONNECTING)
    return made


def test_every_status_can_end() -> None:
    assert all(S.OFFLINE in following for status, following in TRANSITIONS.items() if status is not None)


def test_connecting_comes_once() -> None:
    assert [status for status, following in TRANSITIONS.items() if S.CONNECTING in following] == [None]


def test_an_illegal_turn_is_a_bug(status: Status) -> None:
    status.enter(S.STALLED, "no picture")
    with pytest.raises(RuntimeError, match="online cannot follow stalled"):
        status.enter(S.ONLINE)


def test_the_same_state_is_told_once(status: Status, told: list[CameraState]) -> None:
    status.enter(S.RECONNECTING, "refused")
    status.enter(S.RECONNECTING, "refused")
    assert [state.status for state in told] == [S.CONNECTING, S.RECONNECTING]


def test_another_reason_is_another_state(status: Status, told: list[CameraState]) -> None:
    status.enter(S.RECONNECTING, "refused")
    status.enter(S.RECONNECTING, "no answer")
    assert [state.reason for state in told] == ["", "refused", "no answer"]


def test_since_is_when_it_began(status: Status, told: list[CameraState], clock: FakeClock) -> None:
    clock.advance(5)
    status.enter(S.ONLINE)
    began = clock.utc_ns()
    clock.advance(7)
    status.rate(25.0)
    assert [state.since_ns for state in told[1:]] == [began, began]
    assert told[-1].fps == 25.0


@pytest.mark.parametrize(("fps", "is_told"), [(24.0, False), (26.9, False), (20.0, True), (30.0, True)])
def test_small_changes_of_the_rate_are_not_told(status: Status, told: list[CameraState], fps: float, is_told: bool) -> None:
    status.enter(S.ONLINE)
    status.rate(25.0)
    status.rate(fps)
    assert (told[-1].fps == fps) is is_told


def test_the_ledger_knows_whether_it_is_up(status: Status, counters: Counters) -> None:
    status.enter(S.ONLINE)
    assert counters.snapshot().cameras_up == {"door": True}
    status.enter(S.OFFLINE, "stopped")
    assert counters.snapshot().cameras_up == {"door": False}


def test_no_secret_in_a_reason(status: Status, told: list[CameraState]) -> None:
    status.enter(S.OFFLINE, "rtsp://joe:hunter2@cam/1: broke")
    assert "hunter2" not in told[-1].reason
    assert "cam/1" in told[-1].reason
