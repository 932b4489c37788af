"""What keeps a daemon from starting, and what ends it while it runs; nothing is left behind."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ferstream.app.daemon import Daemon
from ferstream.app.running import Running
from ferstream.app.signals import Signals
from ferstream.errors import AddressInUseError, BrokerError, ConfigError, ExitCode, FerstreamError, ModelError
from ferstream.events.schemas import FACE
from ferstream.settings import Settings
from tests.support.accepting_broker import AcceptingBroker
from tests.support.daemon_run import QUICK, DaemonRun
from tests.support.logs import Logs, named
from tests.support.recording_sink import RecordingSink
from tests.support.runners import PATIENCE_S, Gate
from tests.support.threads import Task

pytestmark = pytest.mark.usefixtures("no_new_threads")
MakeSettings = Callable[..., Settings]


@pytest.fixture
def settings(make_settings: MakeSettings, broker: AcceptingBroker, portrait: dict[str, Any]) -> Settings:
    """Camera ``door``, and a broker that accepts everything."""
    return make_settings(cameras=[portrait], mqtt={"url": broker.url})


# -- what keeps it from starting -----------------------------------------------------------------


def test_a_port_that_is_taken_ends_everything_again(settings: Settings, make_settings: MakeSettings, broker: AcceptingBroker) -> None:
    sink = RecordingSink()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        blocked = settings.model_copy(update={"http": settings.http.model_copy(update={"listen": listen})})
        with pytest.raises(AddressInUseError, match=listen):
            DaemonRun(blocked, extra_sinks=(sink,)).run(lambda running, signals: pytest.fail("it runs"))
    assert sink.log == []
    assert broker.connections == 0


def test_a_sink_that_can_never_work_is_known_before_the_broker_is_connected_to(
    settings: Settings, make_settings: MakeSettings, portrait: dict[str, Any], broker: AcceptingBroker, tmp_path: Path
) -> None:
    webhook = {"url": "https://127.0.0.1:9/events", "ca_file": str(tmp_path / "absent.pem")}
    wrong = make_settings(cameras=[portrait], mqtt={"url": broker.url}, webhook=webhook)
    with pytest.raises(ConfigError, match=r"absent\.pem"):
        DaemonRun(wrong).run(lambda running, signals: pytest.fail("it runs"))
    assert broker.connections == 0


def test_a_model_that_cannot_be_used_starts_nothing(make_settings: MakeSettings) -> None:
    sink = RecordingSink()
    with pytest.raises(ModelError, match="no-such-model"):
        DaemonRun(make_settings(inference={"model": "no-such-model"}), extra_sinks=(sink,)).run()
    assert sink.log == []


def test_a_sink_that_can_never_work_ends_the_start(settings: Settings) -> None:
    sink = RecordingSink()
    sink.open_error = ConfigError("no such folder")
    with pytest.raises(ConfigError, match="no such folder"):
        DaemonRun(settings, extra_sinks=(sink,)).run()
    assert sink.log == ["open recording", "close recording"]


def test_an_error_of_the_greeting_ends_everything(settings: Settings) -> None:
    def greet(running: Running) -> None:
        raise BrokenPipeError("terminal is gone")

    sink = RecordingSink()
    with pytest.raises(BrokenPipeError):
        Daemon(settings, on_running=greet, extra_sinks=(sink,), timings=QUICK).run()
    assert sink.log == ["open recording", "close recording"]


# -- failures while it runs ----------------------------------------------------------------------


def test_a_sink_that_dies_ends_the_daemon_with_an_error(settings: Settings, logs: Logs) -> None:
    def steps(running: Running, signals: Signals) -> None:
        assert running.engine.fatal is not None
        running.engine.fatal.report("mqtt", BrokerError("internal error"))

    sink = RecordingSink()
    with pytest.raises(FerstreamError, match="mqtt failed: internal error") as caught:
        DaemonRun(settings, extra_sinks=(sink,)).run(steps, stop=False)
    assert caught.value.exit_code is ExitCode.INTERNAL  # 4 would keep systemd from starting it again
    assert named(logs, "stopping")[0]["reason"] == "mqtt failed"
    assert sink.log == ["open recording", "flush recording", "close recording"]


def test_a_stage_that_does_not_end_in_time_is_named(
    make_settings: MakeSettings, broker: AcceptingBroker, portrait: dict[str, Any], logs: Logs
) -> None:
    gate, sink = Gate(), RecordingSink()
    sink.before_write = gate
    sink.before_close = gate.open
    settings = make_settings(cameras=[portrait], mqtt={"url": broker.url}, runtime={"shutdown_timeout_s": 0.2})

    def steps(running: Running, signals: Signals) -> None:
        assert gate.reached.wait(PATIENCE_S)

    assert DaemonRun(settings, extra_sinks=(sink,)).run(steps) is ExitCode.INTERNAL
    assert "publishing" in named(logs, "did not end in time")[0]["threads"]


class Exits:
    """Takes the place of ``os._exit``."""

    def __init__(self, *actions: Callable[[], object]) -> None:
        self.codes: list[int] = []
        self.called = threading.Event()
        self._actions = actions

    def __call__(self, code: int) -> None:
        """Keep the code."""
        self.codes.append(code)
        for action in self._actions:
            action()
        self.called.set()


def test_a_stuck_stage_ends_the_process_after_saving_the_events(settings: Settings, broker: AcceptingBroker, logs: Logs) -> None:
    gate, sink = Gate(), RecordingSink()

    def stick() -> None:
        if any(message.schema == FACE for message in sink.messages):
            gate()

    def steps(running: Running, signals: Signals) -> None:
        assert gate.reached.wait(PATIENCE_S)
        run.daemon.abort("publishing")

    sink.before_write = stick
    exits = Exits(gate.open)
    run = DaemonRun(settings, extra_sinks=(sink,), exit_process=exits, timings=replace(QUICK, abort_s=PATIENCE_S))
    assert run.run(steps, stop=False) is ExitCode.INTERNAL
    assert exits.codes == [70]
    assert named(logs, "a stage is stuck; the process ends, to be restarted")[0]["stage"] == "publishing"
    assert not named(logs, "stopping")  # nothing is drained
    assert sink.log == ["open recording", "flush recording", "close recording"]
    assert broker.payloads("/door/face")


def test_a_process_whose_main_thread_is_stuck_too_is_ended_by_a_timer(make_settings: MakeSettings, broker: AcceptingBroker) -> None:
    exits = Exits()

    def never_returns(running: Running) -> None:
        Task(lambda: daemon.abort("publishing")).result()
        assert exits.called.wait(PATIENCE_S)
        running.pipeline.stop(timeout_s=PATIENCE_S)

    settings = make_settings(mqtt={"url": broker.url})
    daemon = Daemon(settings, on_running=never_returns, exit_process=exits, timings=replace(QUICK, abort_s=0.01))
    assert daemon.run() is ExitCode.INTERNAL
    assert exits.codes == [70, 70]  # the timer, then the main thread


def test_the_watchdog_ends_a_daemon_whose_stage_makes_no_progress(
    make_settings: MakeSettings, broker: AcceptingBroker, portrait: dict[str, Any], logs: Logs
) -> None:
    gate, sink = Gate(), RecordingSink()
    sink.before_write = gate
    exits = Exits(gate.open)
    settings = make_settings(cameras=[portrait], mqtt={"url": broker.url}, watchdog={"stuck_after_s": 0.1})
    run = DaemonRun(settings, extra_sinks=(sink,), exit_process=exits)
    assert run.run(stop=False) is ExitCode.INTERNAL
    assert exits.codes == [70]
    assert named(logs, "a stage is stuck; the process ends, to be restarted")
