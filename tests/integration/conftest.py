"""Real brokers, and sinks that publish to them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ferstream.broker.embedded import EmbeddedBroker
from ferstream.runtime.counters import Counters
from tests.support.brokers import Gate, Mosquitto
from tests.support.mqtt_output import MqttOutput


@pytest.fixture(scope="session")
def embedded() -> Iterator[EmbeddedBroker]:
    """One embedded broker for all tests that neither stop nor damage it."""
    broker = EmbeddedBroker(port=0)
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A new Mosquitto."""
    broker = Mosquitto(tmp_path / "mosquitto").start()
    yield broker
    broker.end()


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def make_sink(observer: Counters, gate: Gate) -> Iterator[Callable[..., MqttOutput]]:
    """Makes MQTT outputs for a URL; closes them at the end."""
    sinks: list[MqttOutput] = []

    def make(url: str, **options: Any) -> MqttOutput:
        sinks.append(MqttOutput(url, observer=observer, **({"backoff": gate} | options)))
        return sinks[-1]

    yield make
    for sink in sinks:
        sink.close()


@pytest.fixture
def spawn_publisher(root_dir: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts processes that publish; kills those that are left."""
    children: list[subprocess.Popen[bytes]] = []

    def spawn(url: str, folder: Path, *, rate: float = 200.0, boot_id: str = "child") -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.support.publisher", url, str(folder), str(rate), boot_id]
        child = subprocess.Popen(command, cwd=root_dir, stdout=subprocess.PIPE)
        children.append(child)
        return child

    yield spawn
    for child in children:
        child.kill()
        child.communicate()
