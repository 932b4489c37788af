"""A daemon that starts beside another user of its outbox, or that ends with events that nobody took."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.daemon import RunningDaemon, json_lines
from tests.support.outbox_process import used_by_another_process
from tests.support.ports import free_port

DEMO = '[[cameras]]\nname = "door"\nsource = "demo:"\nanalysis_fps = 5\n'


def settings(outbox: str) -> str:
    """Cameras and an outbox; no broker listens at the address."""
    return f'{DEMO}\n[mqtt]\nurl = "mqtt://127.0.0.1:{free_port()}"\n[outbox]\npath = "{outbox}"\n'


def test_a_locked_outbox_does_not_end_the_daemon(tmp_path: Path) -> None:
    folder = tmp_path / "outbox"
    with RunningDaemon(tmp_path, settings(str(folder))) as daemon:
        with used_by_another_process(folder, "hold"):
            daemon.wait_metrics(lambda metrics: metrics["ferstream_outbox_degraded"] == 1 and metrics["ferstream_outbox_events"] > 0)
            assert "is in use by another process; give each ferstream its own outbox.path; waiting for it" in daemon.log
            status, page = daemon.page("/readyz")
            assert status == 503
            assert "outbox" in json.loads(page)["failed"]
        daemon.wait_metrics(lambda metrics: metrics["ferstream_outbox_degraded"] == 0)
        assert daemon.end() == 0
    assert "events are lost" not in daemon.log


def test_events_lost_at_a_stop_are_an_error_in_the_log_with_their_number(tmp_path: Path) -> None:
    with RunningDaemon(tmp_path, settings("memory")) as daemon:
        metrics = daemon.wait_metrics(lambda found: found["ferstream_outbox_events"] >= 3)
        assert daemon.end() == 4
        log = json_lines(daemon.log)
    (lost,) = [line for line in log if "events are lost" in line["event"]]
    assert lost["level"] == "error"
    assert lost["events"] >= metrics["ferstream_outbox_events"]
