"""A real Home Assistant core, a real broker and a real daemon: what a user of Home Assistant sees. Run by ``make homeassistant``."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from ferstream.domain.emotion import LABELS
from tests.support.brokers import Mosquitto
from tests.support.daemon import RunningDaemon
from tests.support.home_assistant import HomeAssistantCore

pytestmark = pytest.mark.slow

DOOR = '[[cameras]]\nname = "door"\nsource = "demo:"\nrealtime = true\nloop = true\nanalysis_fps = 5\n'
YARD = DOOR.replace("door", "yard")
FACES, DOMINANT, PRESENT = (
    "sensor.edge_1_door_faces_now",
    "sensor.edge_1_door_dominant_expression",
    "binary_sensor.edge_1_door_face_present",
)
EVENT, SWITCH, STATUS = "event.edge_1_door_expression", "switch.edge_1_door_enabled", "sensor.edge_1_door_status"
RUNNING = "binary_sensor.ferstream_edge_1_running"
OF_DOOR = {FACES, DOMINANT, PRESENT, EVENT, SWITCH, STATUS, "sensor.edge_1_door_frame_rate"}


class Scene:
    """A broker, a daemon and a core."""

    def __init__(self, folder: Path, broker: Mosquitto) -> None:
        self.folder, self.broker = folder, broker
        self.daemon = RunningDaemon(folder, self.settings())

    def settings(self, cameras: str = DOOR + YARD, *, discovery: str = "discovery = true", more: str = "", commands: str = "true") -> str:
        return (
            f'{cameras}\n[mqtt]\nurl = "{self.broker.url}"\ncommands = {commands}\n[publishing]\nsummary_interval_s = 1\n'
            f"[homeassistant]\n{discovery}\n{more}\n"
        )

    def core(self) -> HomeAssistantCore:
        return HomeAssistantCore(self.folder / "homeassistant", self.broker.port)

    def restart(self, settings: str) -> None:
        """Stop the daemon, and start it with other settings."""
        assert self.daemon.end() == 0
        self.daemon.write(settings)
        self.daemon.start()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    broker = Mosquitto(tmp_path / "mosquitto").start()
    made = Scene(tmp_path, broker)
    with made.daemon:
        yield made
    broker.end()


def is_live(core: HomeAssistantCore) -> None:
    """Wait until the entities of the camera have values."""
    core.wait_state(STATUS, "online")
    core.wait_state(PRESENT, "on")
    core.wait_state(DOMINANT, *LABELS, "unknown")
    core.wait_state(RUNNING, "on")
    core.wait(lambda states: FACES in states and states[FACES][0].isdecimal() and int(states[FACES][0]) > 0)


def test_entities_are_live_unavailable_while_stopped_and_gone_when_their_camera_is_removed(scene: Scene) -> None:
    with scene.core() as core:
        is_live(core)
        states = core.wait(lambda states: EVENT in states and "T" in states[EVENT][0])
        assert states[EVENT][1]["event_type"] in {"appeared", "changed", "left"}
        assert states[EVENT][1]["label"] in {*LABELS, "unknown"}
        assert set(states[DOMINANT][1]["options"]) == {*LABELS, "unknown", "none"}
        devices = core.devices()
        assert set(devices) == {"ferstream edge-1", "edge-1 door", "edge-1 yard"}
        assert devices["edge-1 door"]["via"] == "ferstream edge-1"
        assert set(devices["edge-1 door"]["entities"]) == OF_DOOR

        core.call("switch", "turn_off", entity_id=SWITCH)
        core.wait_state(STATUS, "disabled")
        core.wait_state(SWITCH, "off")
        core.wait_state(FACES, "unavailable")
        core.call("switch", "turn_on", entity_id=SWITCH)
        core.wait_state(SWITCH, "on")
        is_live(core)

        assert scene.daemon.end() == 0
        for entity in OF_DOOR:
            core.wait_state(entity, "unavailable")
        core.wait_state(RUNNING, "off")
        scene.daemon.start()
        is_live(core)
        assert core.devices()["edge-1 door"]["entities"] == devices["edge-1 door"]["entities"]

        scene.daemon.write(scene.settings(YARD))
        scene.daemon.send(signal.SIGHUP)
        core.wait(lambda states: not OF_DOOR & states.keys())
        assert set(core.devices()) == {"ferstream edge-1", "edge-1 yard"}
        core.wait_state("sensor.edge_1_yard_status", "online")
        assert core.log == []


def test_a_core_that_starts_later_or_again_finds_everything(scene: Scene) -> None:
    with scene.core() as core:
        is_live(core)
        before = core.devices()
    with scene.core() as core:
        is_live(core)
        assert core.devices() == before
        assert core.log == []


def test_a_killed_daemon_is_unavailable_and_a_camera_that_was_removed_meanwhile_is_gone(scene: Scene) -> None:
    with scene.core() as core:
        is_live(core)
        assert scene.daemon.end(signal.SIGKILL) != 0
        core.wait_state(FACES, "unavailable")
        core.wait_state(RUNNING, "off")
        scene.daemon.write(scene.settings(YARD))
        scene.daemon.start()
        core.wait(lambda states: not OF_DOOR & states.keys())
        assert set(core.devices()) == {"ferstream edge-1", "edge-1 yard"}
        assert core.log == []


def test_the_automations_of_the_documentation_run(scene: Scene, root_dir: Path) -> None:
    text = (root_dir / "docs/home-assistant.md").read_text().replace("edge_1_hall", "edge_1_door")
    automations = [yaml.safe_load(block)["automation"][0] for block in re.findall(r"```yaml\n(automation:.*?)```", text, re.DOTALL)]
    with scene.core() as core:
        is_live(core)
        core.automate(automations)
        core.wait_call("light.turn_on", "light.porch")
        core.call("switch", "turn_off", entity_id=SWITCH)
        core.wait_state(PRESENT, "unavailable")
        core.call("switch", "turn_on", entity_id=SWITCH)
        core.wait_call("light.turn_on", "light.hall")
        assert core.log == []


def test_one_message_for_each_entity_and_back_keeps_the_entities(scene: Scene) -> None:
    with scene.core() as core:
        is_live(core)
        before = core.devices()
        scene.restart(scene.settings(discovery="discovery = true\nper_entity = true"))
        is_live(core)
        assert core.devices() == before
        scene.restart(scene.settings())
        is_live(core)
        assert core.devices() == before
        assert core.log == []


def test_with_aggregate_only_nothing_about_a_single_face_is_left(scene: Scene) -> None:
    with scene.core() as core:
        is_live(core)
        core.wait(lambda states: EVENT in states)
        scene.restart(scene.settings(more="[privacy]\naggregate_only = true", commands="false"))
        core.wait(lambda states: not {EVENT, SWITCH} & states.keys())
        core.wait_state(DOMINANT, "none")
        core.wait_state(FACES, "0")
        core.wait_state(PRESENT, "off")
        scene.restart(scene.settings(discovery="discovery = false"))
        core.wait(lambda states: not any("edge_1" in entity for entity in states))
        assert core.devices() == {}
        assert core.log == []
