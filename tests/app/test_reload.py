"""Changed settings applied to a running daemon."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

import pytest

from ferstream.app.reload import apply_settings, reload_settings
from ferstream.app.running import Running
from ferstream.domain.message import Message
from ferstream.errors import ConfigError
from ferstream.events.encode import Encoder
from ferstream.pipeline.models import Models
from ferstream.publishing.sink_set import SinkSet
from ferstream.runtime.counters import Counters
from ferstream.settings import Settings
from tests.support.logs import Logs, logging_restored
from tests.support.recording_sink import CameraSink
from tests.support.runners import PATIENCE_S
from tests.support.running import running_of

pytestmark = pytest.mark.usefixtures("no_new_threads")
MakeSettings = Callable[..., Settings]


class OrderedSink(CameraSink):
    """Records the states of cameras between the cameras that come and go."""

    def write(self, message: Message) -> None:
        """Record the camera of the state."""
        self.log.append(f"state of {message.camera}")


@pytest.fixture
def sink() -> CameraSink:
    return OrderedSink()


@pytest.fixture
def running(make_settings: MakeSettings, models: Models, encoder: Encoder, sink: CameraSink) -> Iterator[Running]:
    """Cameras door and hall run."""
    settings = make_settings(cameras=cameras("door", "hall"))
    output = SinkSet(encoder=encoder, sinks=(sink,), observer=Counters())
    made = running_of(settings, models=models, outputs=[output])
    made.pipeline.start()
    made.cameras.start(settings.cameras)
    yield made
    assert not made.pipeline.stop(timeout_s=PATIENCE_S)


def cameras(*names: str, **keys: object) -> list[dict[str, object]]:
    return [{"name": name, "source": "demo:", **keys} for name in names]


def of_reload(logs: Logs) -> list[MutableMapping[str, Any]]:
    return [entry for entry in logs if "camera" not in entry]


def test_cameras_come_go_and_change(running: Running, make_settings: MakeSettings, logs: Logs) -> None:
    new = make_settings(cameras=[*cameras("hall", analysis_fps=3.0), *cameras("yard")])
    reload_settings(running, lambda: new)
    assert set(running.cameras.names) == {"hall", "yard"}
    assert running.settings is new
    assert of_reload(logs) == [
        {"event": "settings reloaded", "log_level": "info", "added": ["yard"], "removed": ["door"], "changed": ["hall"]},
    ]


def test_sinks_hear_of_a_new_camera_before_its_first_state_and_of_a_removed_one_after_its_end(
    running: Running, make_settings: MakeSettings, sink: CameraSink
) -> None:
    apply_settings(running, make_settings(cameras=cameras("hall", "yard")))
    assert not running.pipeline.stop(timeout_s=PATIENCE_S)
    assert sink.log.index("remember yard") < sink.log.index("state of yard")
    assert sink.log.count("forget door") == 1
    assert not {"forget hall", "remember hall", "remember door", "forget yard"} & set(sink.log)


def test_settings_that_are_not_valid_change_nothing(running: Running, logs: Logs, sink: CameraSink) -> None:
    before = running.settings

    def refuse() -> Settings:
        raise ConfigError("detection.scroe: unknown key")

    reload_settings(running, refuse)
    assert running.settings is before
    assert running.cameras.names == ("door", "hall")
    assert of_reload(logs) == [
        {
            "event": "the new settings are not valid; the old ones stay in force",
            "log_level": "error",
            "reason": "detection.scroe: unknown key",
        },
    ]


def test_keys_that_need_a_restart_are_named(running: Running, make_settings: MakeSettings, logs: Logs) -> None:
    apply_settings(running, make_settings(cameras=cameras("door", "hall"), detection={"score": 0.5}, mqtt={"keepalive_s": 60}))
    warning = of_reload(logs)[0]
    assert (warning["event"], warning["log_level"]) == ("these settings need a restart", "warning")
    assert warning["keys"] == "detection.score, mqtt.keepalive_s"


def test_the_same_settings_again_change_nothing(running: Running, make_settings: MakeSettings, logs: Logs) -> None:
    reload_settings(running, lambda: make_settings(cameras=cameras("hall", "door")))
    assert of_reload(logs) == [{"event": "settings reloaded", "log_level": "info", "added": [], "removed": [], "changed": []}]


def test_the_level_of_the_log_is_applied_at_once(running: Running, make_settings: MakeSettings, logs: Logs) -> None:
    with logging_restored():
        logging.getLogger().setLevel(logging.INFO)
        apply_settings(running, make_settings(cameras=cameras("door", "hall"), log={"level": "error"}))
        assert logging.getLogger().level == logging.ERROR
        assert "these settings need a restart" not in [entry["event"] for entry in logs]
