"""Fixtures for the MQTT thread: outputs that reconnect at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ferstream.runtime.counters import Counters
from tests.support.brokers import Gate
from tests.support.mqtt_output import MqttOutput


@pytest.fixture
def backoff() -> Gate:
    return Gate()


@pytest.fixture
def make_sink(observer: Counters, backoff: Gate) -> Iterator[Callable[..., MqttOutput]]:
    sinks: list[MqttOutput] = []

    def make(url: str, **options: Any) -> MqttOutput:
        sinks.append(MqttOutput(url, observer=observer, **({"backoff": backoff} | options)))
        return sinks[-1]

    yield make
    for sink in sinks:
        sink.close()
