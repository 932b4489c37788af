"""Commands for cameras: from any thread to the main thread."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from ferstream.app.commands import MAX_COMMANDS, Commands
from ferstream.app.running import Running
from ferstream.domain.event import CameraStatus
from ferstream.pipeline.models import Models
from ferstream.settings import Settings
from tests.support.running import running_of

pytestmark = pytest.mark.usefixtures("no_new_threads")


@pytest.fixture
def running(make_settings: Callable[..., Settings], models: Models) -> Running:
    """Cameras door and hall, both off, in a pipeline that is not started."""
    settings = make_settings(cameras=[{"name": name, "source": "demo:", "enabled": False} for name in ("door", "hall")])
    made = running_of(settings, models=models)
    made.cameras.start(settings.cameras)
    return made


def on(running: Running) -> set[str]:
    return set(running.pipeline.cameras.names)


def finish(running: Running) -> None:
    running.pipeline.start()
    assert not running.pipeline.stop(timeout_s=20)


@pytest.mark.parametrize("payload", [b"ON", b"on", b" On\n"])
def test_on_and_off_switch_a_camera(running: Running, payload: bytes) -> None:
    commands = Commands(wake=threading.Event())
    commands.put("door", payload)
    assert on(running) == set()  # nothing happens in the thread of the sink
    commands.run(running.cameras)
    assert on(running) == {"door"}
    running.pipeline.start()
    commands.put("door", b"OFF")
    commands.run(running.cameras)
    assert on(running) == set()
    assert running.pipeline.cameras.states()["door"].status is CameraStatus.DISABLED
    assert not running.pipeline.stop(timeout_s=20)


def test_commands_are_carried_out_in_order_and_once(running: Running) -> None:
    commands = Commands(wake=threading.Event())
    running.pipeline.start()
    for camera, payload in (("door", b"ON"), ("hall", b"ON"), ("door", b"OFF")):
        commands.put(camera, payload)
    commands.run(running.cameras)
    assert on(running) == {"hall"}
    running.cameras.switch("hall", on=False)
    commands.run(running.cameras)
    assert on(running) == set()
    assert not running.pipeline.stop(timeout_s=20)


@pytest.mark.parametrize("payload", [b"", b"TOGGLE", b"\xff\x00", b"ON OFF"])
def test_other_commands_change_nothing_and_are_logged_without_their_text(running: Running, payload: bytes) -> None:
    commands = Commands(wake=threading.Event())
    commands.put("door", payload)
    with capture_logs() as logs:
        commands.run(running.cameras)
    assert on(running) == set()
    assert logs == [
        {"event": "a command is neither ON nor OFF", "log_level": "warning", "camera": "door", "length": len(payload)},
    ]


def test_a_command_wakes_the_main_thread(running: Running) -> None:
    wake = threading.Event()
    commands = Commands(wake=wake)
    commands.run(running.cameras)
    assert not wake.is_set()
    commands.put("door", b"ON")
    assert wake.is_set()


def test_a_flood_of_commands_is_bounded_and_the_last_ones_count(running: Running) -> None:
    commands = Commands(wake=threading.Event())
    commands.put("door", b"ON")
    for _ in range(MAX_COMMANDS - 1):
        commands.put("nobody", b"ON")
    commands.put("hall", b"ON")
    with capture_logs() as logs:
        commands.run(running.cameras)
    assert on(running) == {"hall"}
    assert len([entry for entry in logs if entry["event"] == "a command names an unknown camera"]) == MAX_COMMANDS - 1
    finish(running)
