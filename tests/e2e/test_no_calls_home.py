"""The daemon connects to what its settings name and to nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.daemon import RunningDaemon
from tests.support.ports import free_port

HOOK = """
import os, sys

def note(event, args):
    if event in ("socket.connect", "socket.sendto"):
        what = args[1]
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        what = args[:2]
    else:
        return
    with open(os.environ["CALLS"], "a") as calls:
        calls.write(f"{event} {what!r}\\n")

sys.addaudithook(note)
"""
"""Python imports ``sitecustomize`` at the start of every process, the child processes of the daemon included."""


@pytest.mark.timeout(180)
def test_the_daemon_connects_to_its_cameras_and_sinks_only(tmp_path: Path) -> None:
    hook, calls, broker, webhook = tmp_path / "hook", tmp_path / "calls", free_port(), free_port()
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(HOOK)
    settings = (
        '[[cameras]]\nname = "door"\nsource = "demo:"\n'
        f'[mqtt]\nurl = "mqtt://127.0.0.1:{broker}"\n[webhook]\nurl = "http://127.0.0.1:{webhook}/events"\n[outbox]\npath = "memory"\n'
    )
    environment = {"CALLS": str(calls), "PYTHONPATH": os.pathsep.join([str(hook), os.environ.get("PYTHONPATH", "")])}
    with RunningDaemon(tmp_path, settings, program=None, **environment) as daemon:
        daemon.wait_frames("door", 20)
        daemon.wait_metrics(lambda _: f"{broker}" in calls.read_text() and f"{webhook}" in calls.read_text())
        daemon.end()
    allowed = {"127.0.0.1", "::1", "localhost"}
    strangers = [line for line in calls.read_text().splitlines() if not any(f"'{host}'" in line for host in allowed) and "(" in line]
    assert not strangers
