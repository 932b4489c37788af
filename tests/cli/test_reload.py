"""``ferstream reload`` finds the daemon and sends it SIGHUP."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ferstream.cli.reload import only_daemon
from ferstream.errors import ConfigError
from tests.support.daemon import RunningDaemon, ferstream

SETTINGS = '[[cameras]]\nname = "door"\nsource = "demo:"\nanalysis_fps = 1\n[mqtt]\nurl = "mqtt://127.0.0.1:9"\n[outbox]\npath = "memory"\n'


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[RunningDaemon]:
    """A running daemon whose state folder is that of this test."""
    with RunningDaemon(tmp_path, SETTINGS, STATE_DIRECTORY=str(tmp_path / "state")) as running:
        running.wait_log('"running"')
        yield running


def test_the_only_daemon_is_found_and_reads_its_settings_again(daemon: RunningDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    from ferstream.app import find_daemons
    from ferstream.app.daemon_lock import daemons
    from ferstream.app.find_daemons import send_reload
    from ferstream.cli import app

    assert daemon.process is not None
    assert daemons(daemon.folder / "state") == {daemon.process.pid}
    # Tests beside this one run daemons of their own, which are found too: only this one counts.
    everything, pid_here = find_daemons.running_daemons, daemon.process.pid
    monkeypatch.setattr(find_daemons, "running_daemons", lambda: [pid for pid in everything() if pid == pid_here])
    result = CliRunner().invoke(app, ["reload"])
    assert result.exit_code == 0, result.output
    assert f"sent SIGHUP to process {daemon.process.pid}" in result.output
    daemon.wait_log("settings reloaded")
    send_reload(daemon.process.pid)
    daemon.end()
    assert daemons(daemon.folder / "state") == set()


def test_a_process_of_another_program_is_left_alone(tmp_path: Path) -> None:
    import subprocess

    with subprocess.Popen(["sleep", "600"]) as other:
        try:
            result = ferstream("reload", "--pid", other.pid)
            assert result.returncode == 2
            assert f"process {other.pid} is not a running 'ferstream run', nothing was sent" in result.stderr
            assert other.poll() is None
        finally:
            other.send_signal(signal.SIGKILL)


def test_the_only_daemon_is_chosen() -> None:
    assert only_daemon([7]) == 7


@pytest.mark.parametrize(
    ("running", "message"), [([], "give its process id with --pid"), ([1, 2], r"several daemons are running \(1, 2\)")]
)
def test_no_daemon_and_several_daemons_are_errors(running: list[int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        only_daemon(running)
