"""Health from heartbeats, readiness from checks."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.runtime.counters import Counters
from ferstream.telemetry.health import Check, Heartbeats, Report, camera_check, readiness
from tests.support.clock import FakeClock


def heartbeats(counters: Counters, clock: FakeClock) -> Heartbeats:
    return Heartbeats(beats=lambda: counters.snapshot().beats, stale_after_s=10, clock=clock)


def test_a_fresh_beat_is_healthy_and_an_old_one_names_its_stage(counters: Counters, clock: FakeClock) -> None:
    counters.beat("inference")
    clock.advance(9)
    counters.beat("inference")
    assert heartbeats(counters, clock).report().ok
    clock.advance(2)
    report = heartbeats(counters, clock).report()
    assert not report.ok
    assert report.failed == ("stage:detection-0",)
    assert heartbeats(counters, clock).stale() == {"detection-0": 11.0}


def test_the_stage_that_stood_still_longest_comes_first(clock: FakeClock) -> None:
    counters = Counters(clock=clock)
    for stage in ("tracking", "detection", "capture"):
        counters.beat(stage)
        clock.advance(1)
    clock.advance(20)
    assert list(heartbeats(counters, clock).stale()) == ["tracking", "detection", "capture"]


def test_a_stage_that_ended_on_purpose_is_not_expected(counters: Counters, clock: FakeClock) -> None:
    clock.advance(100)
    counters.forget_stage("detection-0")
    assert heartbeats(counters, clock).report().ok


def test_time_before_a_pause_of_the_process_counts_against_nobody(counters: Counters, clock: FakeClock) -> None:
    clock.advance(100)
    woke_ns = clock.monotonic_ns()
    clock.advance(9)
    assert heartbeats(counters, clock).stale(not_before_ns=woke_ns) == {}
    clock.advance(2)
    assert "detection-0" in heartbeats(counters, clock).stale(not_before_ns=woke_ns)


def test_a_limit_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="stale_after_s"):
        Heartbeats(beats=dict, stale_after_s=0)


@pytest.mark.parametrize(
    ("up", "ok", "detail"),
    [
        ({"door": True, "yard": False}, True, "1 of 2 up; down: yard"),
        ({"door": False}, False, "0 of 1 up; down: door"),
        ({"door": True}, True, "1 of 1 up"),
        ({}, False, "0 of 0 up"),
    ],
)
def test_one_camera_that_delivers_is_enough(up: dict[str, bool], ok: bool, detail: str) -> None:
    assert camera_check(up) == Check("cameras", ok, detail)


@given(st.dictionaries(st.text(min_size=1), st.booleans()))
def test_a_report_is_ok_only_if_every_check_is(answers: dict[str, bool]) -> None:
    report = readiness([lambda name=name, ok=ok: Check(name, ok) for name, ok in answers.items()])()  # type: ignore[misc]
    assert report.ok == all(answers.values())
    assert set(report.failed) == {name for name, ok in answers.items() if not ok}
    assert json.loads(json.dumps(report.as_json()))["status"] == ("ok" if report.ok else "unavailable")


def test_a_degraded_check_is_named_and_does_not_make_the_report_fail() -> None:
    report = Report((Check("models", True), Check("load", True, "10.0 of 40.0 frames/s analysed", degraded=True)))
    assert report.ok
    assert report.as_json()["status"] == "degraded"
    assert report.as_json()["degraded"] == ["load"]


def test_a_report_that_fails_is_unavailable_even_if_a_check_is_degraded() -> None:
    report = Report((Check("broker", False), Check("load", True, degraded=True)))
    assert report.status == "unavailable"


def test_checks_run_at_each_request() -> None:
    answers = iter([False, True])
    ready = readiness([lambda: Check("broker", next(answers))])
    assert [ready().ok, ready().ok] == [False, True]


def test_json_holds_each_check_with_its_reason() -> None:
    report = Report((Check("models", True, "emotion-edge"), Check("broker", False, "connection refused")))
    assert report.as_json() == {
        "status": "unavailable",
        "failed": ["broker"],
        "degraded": [],
        "checks": {"models": {"ok": True, "detail": "emotion-edge"}, "broker": {"ok": False, "detail": "connection refused"}},
    }
