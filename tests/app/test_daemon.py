"""The daemon in this process: start, reload, commands, every way to end, and what it leaves behind."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ferstream.app.running import Running
from ferstream.app.signals import Signals
from ferstream.domain.event import CameraStatus
from ferstream.domain.message import Message
from ferstream.errors import ConfigError, ExitCode
from ferstream.events.schemas import FACE, STATE
from ferstream.settings import Settings
from tests.support.accepting_broker import AcceptingBroker
from tests.support.daemon_run import DaemonRun
from tests.support.logs import Logs, named
from tests.support.recording_sink import CameraSink, RecordingSink
from tests.support.running import wait_connected, wait_frames, wait_status
from tests.support.telemetry import ask
from tests.support.threads import Task, wait_until

pytestmark = pytest.mark.usefixtures("no_new_threads")
MakeSettings = Callable[..., Settings]


@pytest.fixture
def settings(make_settings: MakeSettings, broker: AcceptingBroker, portrait: dict[str, Any]) -> Settings:
    """Camera ``door``, and a broker that accepts everything."""
    return make_settings(cameras=[portrait], mqtt={"url": broker.url})


# -- start and end -------------------------------------------------------------------------------


def test_a_daemon_publishes_what_its_cameras_see_and_stops_when_asked(settings: Settings, broker: AcceptingBroker, logs: Logs) -> None:
    def steps(running: Running, signals: Signals) -> None:
        wait_connected(running)
        wait_until(lambda: bool(broker.payloads("/door/face")))

    run = DaemonRun(settings)
    assert run.run(steps) is ExitCode.OK
    assert broker.payloads("/availability")[-1] == b"stopped"
    assert json.loads(broker.payloads("/door/state")[-1])["status"] == "offline"
    faces = [json.loads(payload) for payload in broker.payloads("/door/face")]
    assert [face["seq"] for face in faces] == list(range(len(faces)))
    assert faces[0]["node"] == "edge-1"
    assert named(logs, "running")[0]["cameras"] == 1
    assert named(logs, "running")[0]["model"].startswith("tiny/1.0.0 on openvino:CPU, ")
    assert named(logs, "stopping")[0]["reason"] == "SIGTERM"
    assert named(logs, "stopped") == [{"event": "stopped", "log_level": "info", "events_not_delivered": 0, "events_in_outbox": 0}]


def test_two_starts_have_two_boot_ids(settings: Settings, broker: AcceptingBroker) -> None:
    for count in (1, 2):
        DaemonRun(settings).run(lambda running, signals, n=count: wait_until(lambda: len(boot_ids(broker)) == n))  # type: ignore[misc]
    assert len(boot_ids(broker)) == 2


def boot_ids(broker: AcceptingBroker) -> set[str]:
    return {json.loads(payload)["boot_id"] for payload in broker.payloads("/door/state")}


def test_a_daemon_ends_by_itself_after_its_seconds(settings: Settings, logs: Logs) -> None:
    run = DaemonRun(settings, seconds=0.05)
    assert run.run(stop=False) is ExitCode.OK
    assert named(logs, "stopping")[0]["reason"] == "time is up"


def test_a_program_that_embeds_the_daemon_can_stop_it(settings: Settings, logs: Logs) -> None:
    def steps(running: Running, signals: Signals) -> None:
        signals.stop_asked = True

    assert DaemonRun(settings).run(steps) is ExitCode.OK
    assert named(logs, "stopping")[0]["reason"] == "asked to stop"


def test_a_daemon_measures_the_load_of_its_cameras(settings: Settings) -> None:
    def steps(running: Running, signals: Signals) -> None:
        wait_until(lambda: "door" in running.load.load.cameras)

    assert DaemonRun(settings).run(steps) is ExitCode.OK


def test_the_embedded_broker_runs_as_long_as_the_daemon(make_settings: MakeSettings, portrait: dict[str, Any]) -> None:
    run = DaemonRun(make_settings(cameras=[portrait], mqtt={"url": "embedded"}))

    def steps(running: Running, signals: Signals) -> None:
        wait_connected(running)
        assert running.broker is not None
        assert running.broker.running
        assert running.broker_label() == f"127.0.0.1:{running.broker.port} (embedded)"

    assert run.run(steps) is ExitCode.OK
    assert run.running is not None
    assert run.running.broker is not None
    assert not run.running.broker.running


def test_the_pages_are_served_while_the_daemon_runs(settings: Settings) -> None:
    def steps(running: Running, signals: Signals) -> None:
        assert running.server is not None
        wait_connected(running)
        wait_status(running, "door", CameraStatus.ONLINE)
        assert ask(running.server, "/readyz")[0] == 200
        assert 'ferstream_camera_up{camera="door"} 1.0' in ask(running.server, "/metrics")[2]

    run = DaemonRun(settings)
    assert run.run(steps) is ExitCode.OK
    assert run.running is not None
    assert run.running.server is not None
    assert not run.running.server.alive


def test_without_pages_nothing_listens(make_settings: MakeSettings, broker: AcceptingBroker, logs: Logs) -> None:
    run = DaemonRun(make_settings(mqtt={"url": broker.url}, http={"enabled": False}, watchdog={"stuck_after_s": 0.0}))
    assert run.run(lambda running, signals: None) is ExitCode.OK
    assert run.running is not None
    assert run.running.server is None
    assert named(logs, "running")[0]["metrics"] is None


def test_a_broker_that_cannot_be_reached_does_not_keep_a_daemon_from_running(
    make_settings: MakeSettings, portrait: dict[str, Any], logs: Logs
) -> None:
    settings = make_settings(cameras=[portrait | {"loop": False, "realtime": False}], runtime={"shutdown_timeout_s": 1.0})

    def steps(running: Running, signals: Signals) -> None:
        wait_status(running, "door", CameraStatus.OFFLINE)  # the end of the recording
        wait_until(lambda: running.outbox_events() >= 11)

    assert DaemonRun(settings).run(steps) is ExitCode.BROKER  # the outbox was in memory: its events are lost
    assert named(logs, "stopped")[0]["events_not_delivered"] >= 11


def test_events_that_are_on_disk_are_not_lost(make_settings: MakeSettings, portrait: dict[str, Any], logs: Logs, tmp_path: Path) -> None:
    settings = make_settings(cameras=[portrait], outbox={"path": str(tmp_path / "box")})
    run = DaemonRun(settings)

    def steps(running: Running, signals: Signals) -> None:
        wait_until(lambda: running.outbox_events() > 0)

    assert run.run(steps) is ExitCode.OK
    stopped = named(logs, "stopped")[0]
    assert stopped["events_not_delivered"] == 0
    assert stopped["events_in_outbox"] > 0
    assert any((tmp_path / "box").iterdir())


def test_a_daemon_that_may_not_write_keeps_its_outbox_in_memory(
    make_settings: MakeSettings, broker: AcceptingBroker, tmp_path: Path
) -> None:
    settings = make_settings(mqtt={"url": broker.url}, outbox={"path": str(tmp_path / "box")})
    DaemonRun(settings, durable=False).run()
    assert not (tmp_path / "box").exists()


# -- extra sinks ---------------------------------------------------------------------------------


def test_extra_sinks_are_opened_written_flushed_and_closed(settings: Settings) -> None:
    sink = CameraSink("terminal")

    def steps(running: Running, signals: Signals) -> None:
        wait_until(lambda: any(message.schema == FACE for message in sink.messages))
        assert [status.name for status in running.sinks()] == ["mqtt", "terminal"]

    assert DaemonRun(settings, extra_sinks=(sink,)).run(steps) is ExitCode.OK
    assert sink.log == ["open terminal", "flush terminal", "close terminal"]
    assert states_of(sink.messages)[-1] == "offline"  # everything was published before the sink was closed


def test_an_extra_sink_that_fails_does_not_disturb_the_others(settings: Settings, broker: AcceptingBroker) -> None:
    sink = RecordingSink("terminal")
    sink.write_error = OSError("terminal is gone")
    run = DaemonRun(settings, extra_sinks=(sink,))
    assert run.run(lambda running, signals: wait_until(lambda: bool(broker.payloads("/door/face")))) is ExitCode.OK
    assert run.running is not None
    assert run.running.pipeline.counters.snapshot().counts["sink_failures", "terminal"] > 0


# -- reload --------------------------------------------------------------------------------------


def test_a_reload_adds_and_removes_cameras(
    settings: Settings, make_settings: MakeSettings, broker: AcceptingBroker, portrait: dict[str, Any]
) -> None:
    new = make_settings(cameras=[portrait | {"name": "hall"}], mqtt={"url": broker.url})

    def steps(running: Running, signals: Signals) -> None:
        wait_frames(running)
        signals.on_reload(1, None)
        wait_frames(running, "hall")
        wait_until(lambda: running.settings is new)
        assert running.cameras.names == ("hall",)
        wait_until(lambda: broker.payloads("/door/state")[-1] == b"")  # its retained state is removed

    assert DaemonRun(settings, reload=lambda: new).run(steps) is ExitCode.OK
    assert json.loads(broker.payloads("/hall/state")[-1])["status"] == "offline"


def test_a_reload_of_settings_that_are_not_valid_changes_nothing(settings: Settings, logs: Logs) -> None:
    def refuse() -> Settings:
        raise ConfigError("nonsense = 1: unknown key")

    def steps(running: Running, signals: Signals) -> None:
        wait_frames(running)
        signals.on_reload(1, None)
        wait_until(lambda: bool(named(logs, "the new settings are not valid; the old ones stay in force")))
        wait_frames(running)
        assert running.settings is settings

    assert DaemonRun(settings, reload=refuse).run(steps) is ExitCode.OK


def test_a_daemon_without_a_file_ignores_a_reload(settings: Settings, logs: Logs) -> None:
    def steps(running: Running, signals: Signals) -> None:
        signals.on_reload(1, None)
        wait_until(lambda: not signals.reload_asked)
        wait_frames(running)

    assert DaemonRun(settings).run(steps) is ExitCode.OK
    assert not named(logs, "settings reloaded")


def test_a_reload_changes_the_time_for_the_shutdown(settings: Settings, logs: Logs) -> None:
    new = settings.model_copy(update={"runtime": settings.runtime.model_copy(update={"shutdown_timeout_s": 7.0})})

    def steps(running: Running, signals: Signals) -> None:
        signals.on_reload(1, None)
        wait_until(lambda: running.settings is new)

    assert DaemonRun(settings, reload=lambda: new).run(steps) is ExitCode.OK
    assert named(logs, "stopping")[0]["timeout_s"] == 7.0


# -- commands ------------------------------------------------------------------------------------


def test_commands_over_mqtt_switch_a_camera(
    make_settings: MakeSettings, portrait: dict[str, Any], broker: AcceptingBroker, logs: Logs
) -> None:
    def steps(running: Running, signals: Signals) -> None:
        wait_frames(running)
        broker.publish("ferstream/edge-1/door/set", b"OFF")
        wait_status(running, "door", CameraStatus.DISABLED)
        broker.publish("ferstream/edge-1/door/set", b"MAYBE")
        wait_until(lambda: bool(named(logs, "a command is neither ON nor OFF")))
        assert running.pipeline.cameras.names == ()
        broker.publish("ferstream/edge-1/door/set", b"ON")
        wait_status(running, "door", CameraStatus.ONLINE)

    settings = make_settings(cameras=[portrait], mqtt={"url": broker.url, "commands": True})
    assert DaemonRun(settings).run(steps) is ExitCode.OK


# -- systemd -------------------------------------------------------------------------------------


class Systemd:
    """The socket of systemd, and what arrived on it."""

    def __init__(self, path: Path) -> None:
        self.lines: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._task = Task(self._read)

    def _read(self) -> None:
        while data := self._socket.recv(4096):
            self.lines += data.decode().splitlines()

    def wait(self, start: str) -> None:
        """Wait for a line that begins so."""
        wait_until(lambda: any(line.startswith(start) for line in self.lines))

    def close(self, path: Path) -> None:
        """End the reading thread."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"", str(path))
        self._task.result()
        self._socket.close()


def test_systemd_hears_of_start_state_reload_and_end(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "notify"
    monkeypatch.setenv("NOTIFY_SOCKET", str(path))
    systemd = Systemd(path)

    def steps(running: Running, signals: Signals) -> None:
        systemd.wait("READY=1")
        wait_connected(running)
        wait_until(lambda: "broker connected" in systemd.lines[-1])  # a later status line
        signals.on_reload(1, None)
        systemd.wait("RELOADING=1")
        wait_until(lambda: systemd.lines.count("READY=1") == 2)

    assert DaemonRun(settings, reload=lambda: settings).run(steps) is ExitCode.OK
    systemd.close(path)
    order = [line for line in systemd.lines if line.partition("=")[0] in {"READY", "RELOADING", "STOPPING", "EXTEND_TIMEOUT_USEC"}]
    assert order == ["READY=1", "RELOADING=1", "READY=1", "STOPPING=1", "EXTEND_TIMEOUT_USEC=15000000"]


def states_of(messages: list[Message]) -> list[str]:
    return [json.loads(message.payload)["status"] for message in messages if message.schema == STATE]
