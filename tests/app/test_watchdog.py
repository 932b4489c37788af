"""When the daemon has a watchdog, and how often it checks."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from ferstream.app.running import Running
from ferstream.app.status import (
    watchdog_interval_s,
    watchdog_of,
)
from ferstream.settings import Settings
from ferstream.telemetry.health import Heartbeats
from ferstream.telemetry.systemd import Notifier
from tests.support.runners import PATIENCE_S

pytestmark = pytest.mark.usefixtures("no_new_threads")
MakeSettings = Callable[..., Settings]
Run = Callable[..., Running]


@pytest.mark.parametrize(
    ("stuck_after_s", "systemd_s", "interval_s"),
    [(30.0, None, 7.5), (2.0, None, 0.5), (200.0, None, 20.0), (30.0, 9.0, 3.0), (2.0, 9.0, 0.5), (0.0, 9.0, 3.0), (0.0, 90.0, 7.5)],
)
def test_the_watchdog_checks_often_enough_for_both_limits(stuck_after_s: float, systemd_s: float | None, interval_s: float) -> None:
    assert watchdog_interval_s(stuck_after_s=stuck_after_s, systemd_s=systemd_s) == interval_s


def make_watchdog(settings: Settings, stuck: list[str]) -> object:
    heartbeats = Heartbeats(beats=lambda: {"inference": 0}, stale_after_s=0.001)
    return watchdog_of(settings, heartbeats=heartbeats, notifier=Notifier(address=None), on_stuck=stuck.append)


def test_without_a_limit_there_is_no_watchdog_unless_systemd_wants_one(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings(watchdog={"stuck_after_s": 0.0})
    assert watchdog_interval_s(stuck_after_s=0.0, systemd_s=None) is None
    assert make_watchdog(settings, []) is None
    monkeypatch.setenv("WATCHDOG_USEC", "9000000")
    assert make_watchdog(settings, []) is not None


def test_the_watchdog_reports_a_stuck_stage(make_settings: MakeSettings) -> None:
    stuck: list[str] = []
    heartbeats = Heartbeats(beats=lambda: {"inference": 0}, stale_after_s=0.001)
    watchdog = watchdog_of(make_settings(), heartbeats=heartbeats, notifier=Notifier(address=None), on_stuck=stuck.append)
    assert watchdog is not None
    assert not watchdog.check()
    assert stuck == ["inference"]


def test_the_watchdog_resets_that_of_systemd_while_all_stages_progress(make_settings: MakeSettings, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(PATIENCE_S)
        notifier = Notifier(address=str(tmp_path / "notify"))
        watchdog = watchdog_of(
            make_settings(),
            heartbeats=Heartbeats(beats=dict, stale_after_s=30.0),
            notifier=notifier,
            on_stuck=lambda stage: pytest.fail(stage),
        )
        assert watchdog is not None
        assert watchdog.check()
        assert systemd.recv(100) == b"WATCHDOG=1"
