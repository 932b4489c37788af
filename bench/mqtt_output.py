"""An MQTT sink with its encoder and its outbox, as the daemon joins them, for programs that measure publishing alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ferstream.events.encode import Encoder, ModelRef
from ferstream.outbox.outbox import Outbox
from ferstream.publishing.sink_set import SinkSet
from ferstream.runtime.clock import SystemClock
from ferstream.runtime.counters import Counters
from ferstream.sinks.mqtt.address import BrokerAddress
from ferstream.sinks.mqtt.sink import MqttSink
from ferstream.sinks.mqtt.topics import Topics


@dataclass(frozen=True, slots=True)
class MqttOutput:
    """The set of sinks, its only sink, and its outbox."""

    sinks: SinkSet
    mqtt: MqttSink
    outbox: Outbox


def mqtt_output(url: str, directory: Path | None, *, node: str = "bench", boot_id: str = "bench") -> MqttOutput:
    """Make one that is not open; the outbox has the default limits."""
    counters = Counters()
    outbox = Outbox(directory=directory, max_events=100_000, max_bytes=64 << 20, observer=counters)
    mqtt = MqttSink(
        address=BrokerAddress(url=url, client_id=node), topics=Topics(prefix="ferstream", node=node), outbox=outbox, observer=counters
    )
    encoder = Encoder(node=node, boot_id=boot_id, model=ModelRef("emotion-edge", "1.0.0"), clock=SystemClock())
    return MqttOutput(SinkSet(encoder=encoder, sinks=(mqtt,), outbox=outbox, observer=counters), mqtt, outbox)
