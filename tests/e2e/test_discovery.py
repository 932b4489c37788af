"""Discovery of the whole daemon at a real broker: what it keeps, and when it goes."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from ferstream.homeassistant.ids import device_id
from tests.support.brokers import Mosquitto, Subscriber
from tests.support.daemon import RunningDaemon
from tests.support.discovery_schema import check_all
from tests.support.publish import publish

DOOR = '[[cameras]]\nname = "door"\nsource = "demo:"\nanalysis_fps = 5\n'
YARD = DOOR.replace("door", "yard") + "enabled = false\n"
PREFIX = "homeassistant/device"
OF_NODE, OF_DOOR, OF_YARD = (device_id("ferstream", "edge-1", *names) for names in ((), ("door",), ("yard",)))


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path / "mosquitto").start()
    yield broker
    broker.end()


def to(broker: Mosquitto, cameras: str, *, discovery: str = "true") -> str:
    return (
        f'{cameras}\n[mqtt]\nurl = "{broker.url}"\ncommands = true\n[publishing]\nsummary_interval_s = 1\n'
        f"[homeassistant]\ndiscovery = {discovery}\n"
    )


def retained(broker: Mosquitto, *devices: str) -> dict[str, dict[str, Any]]:
    """The discovery messages that the broker keeps, by device, once they are those of these devices."""
    while True:
        found: dict[str, bytes] = {}
        with Subscriber(broker.url, "homeassistant/#", "ferstream/edge-1/availability") as late:
            late.wait_subscribed(1)
            late.wait(lambda messages: any(message.topic.endswith("availability") for message in messages))
            publish(broker.url, "homeassistant/marker", b"{}")
            late.wait_payload("/marker", b"{}")
            found = {message.topic: message.payload for message in late.messages if message.retain and "/device/" in message.topic}
        if found.keys() == {f"{PREFIX}/{device}/config" for device in devices}:
            check_all(found, "homeassistant")
            return {topic.split("/")[2]: json.loads(payload) for topic, payload in found.items()}


def count(subscriber: Subscriber, device: str) -> int:
    return sum(device in message.topic for message in subscriber.messages)


def test_the_broker_keeps_what_the_settings_ask_for_through_reloads_and_restarts(
    mosquitto: Mosquitto, tmp_path: Path, root_dir: Path
) -> None:
    with (
        Subscriber(mosquitto.url, "homeassistant/#", "ferstream/+/node") as live,
        RunningDaemon(tmp_path, to(mosquitto, DOOR + YARD)) as daemon,
    ):
        with Subscriber(mosquitto.url, "ferstream/#") as values:
            values.wait_payload("/availability", b"online")
            live.wait(lambda _: count(live, OF_YARD) == 1)
            (state,) = (m.payload for m in values.wait(lambda ms: any(m.topic.endswith("/node") for m in ms)) if m.topic.endswith("/node"))
            Draft202012Validator(json.loads((root_dir / "docs/schema/node-1.json").read_text())).validate(json.loads(state))
        made = retained(mosquitto, OF_NODE, OF_DOOR, OF_YARD)
        assert made[OF_DOOR]["device"]["via_device"] == made[OF_NODE]["device"]["identifiers"][0]

        publish(mosquitto.url, "homeassistant/status", b"online")
        live.wait(lambda _: count(live, OF_DOOR) == 2)

        daemon.write(to(mosquitto, YARD))
        daemon.send(signal.SIGHUP)
        live.wait_payload(f"{OF_DOOR}/config", b"")
        retained(mosquitto, OF_NODE, OF_YARD)
        daemon.write(to(mosquitto, DOOR + YARD))
        daemon.send(signal.SIGHUP)
        retained(mosquitto, OF_NODE, OF_DOOR, OF_YARD)

        assert daemon.end(signal.SIGKILL) != 0
        daemon.write(to(mosquitto, DOOR))
        daemon.start()
        live.wait_payload(f"{OF_YARD}/config", b"")
        retained(mosquitto, OF_NODE, OF_DOOR)

        assert daemon.end() == 0
        daemon.write(to(mosquitto, DOOR, discovery="false"))
        daemon.start()
        live.wait_payload(f"{OF_DOOR}/config", b"")
        live.wait_payload(f"{OF_NODE}/config", b"")
        live.wait_payload("/edge-1/node", b"")
        retained(mosquitto)


def test_after_a_restart_of_a_broker_that_forgot_everything_it_is_announced_again(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path / "mosquitto", "persistence false").start()
    try:
        with RunningDaemon(tmp_path, to(broker, DOOR)):
            retained(broker, OF_NODE, OF_DOOR)
            broker.end()
            broker.start()
            retained(broker, OF_NODE, OF_DOOR)
    finally:
        broker.end()
