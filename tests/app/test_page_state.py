"""The state of the page where not everything is well: what a person needs to see, over real HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ferstream.app.running import Running
from ferstream.errors import ExitCode
from ferstream.settings import Settings
from tests.support.daemon_run import DaemonRun
from tests.support.live import wait_state
from tests.support.running import wait_frames

pytestmark = pytest.mark.usefixtures("no_new_threads")
MakeSettings = Callable[..., Settings]


def camera(state: dict[str, Any], name: str) -> dict[str, Any]:
    """Return one camera of the state."""
    found: dict[str, Any] = next(camera for camera in state["cameras"] if camera["name"] == name)
    return found


def test_a_broker_that_is_away_and_what_waits_for_it(make_settings: MakeSettings, portrait: dict[str, Any]) -> None:
    def steps(running: Running) -> None:
        assert running.server is not None
        wait_frames(running)
        state = wait_state(running.server, lambda state: bool(state["sinks"][0]["reason"]) and state["outbox"]["oldest_s"] > 0)
        (sink,) = state["sinks"]
        assert (sink["connected"], sink["acknowledged"], sink["dropped"]) == (False, 0, 0)
        assert sink["waiting"] > 0
        assert state["outbox"]["events"] > 0
        assert state["outbox"]["bytes"] > 100
        assert state["outbox"]["oldest_s"] <= state["uptime_s"]
        assert state["outbox"]["on_disk"] is False
        assert state["ready"]["ok"] is False
        broken = [check for check in state["ready"]["checks"] if not check["ok"]]
        assert [check["name"] for check in broken] == ["broker"]
        assert broken[0]["detail"] == sink["reason"]

    run = DaemonRun(make_settings(cameras=[portrait]))
    assert run.run(lambda running, signals: steps(running)) is ExitCode.BROKER  # events were lost


def test_cameras_that_do_not_run_and_frames_that_were_dropped(make_settings: MakeSettings, portrait: dict[str, Any]) -> None:
    def steps(running: Running) -> None:
        assert running.server is not None
        wait_frames(running)
        counters = running.pipeline.counters
        counters.frame_dropped("yard", "detection", "stale", 3)
        counters.frame_dropped("yard", "capture", "overflow", 5)
        state = wait_state(
            running.server, lambda state: camera(state, "lost")["status"] == "reconnecting" and camera(state, "door")["width"]
        )
        yard, lost, door = (camera(state, name) for name in ("yard", "lost", "door"))
        assert (yard["enabled"], yard["status"], yard["reason"]) == (False, "disabled", "switched off in the settings")
        assert (yard["width"], yard["height"], yard["faces_now"]) == (None, None, None)
        assert yard["frames"] == {"captured": 0, "analysed": 0, "published": 0}
        assert yard["dropped"] == [
            {"stage": "capture", "reason": "overflow", "count": 5},
            {"stage": "detection", "reason": "stale", "count": 3},
        ]
        assert (lost["enabled"], lost["faces_now"]) == (True, None)
        assert lost["reason"]
        assert (door["enabled"], door["width"], door["height"]) == (True, 192, 224)

    cameras = [
        portrait,
        portrait | {"name": "yard", "enabled": False},
        {"name": "lost", "source": "rtsp://127.0.0.1:9/nothing", "reconnect_min_s": 60.0},
    ]
    DaemonRun(make_settings(cameras=cameras)).run(lambda running, signals: steps(running))
