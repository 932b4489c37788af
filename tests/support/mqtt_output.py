"""An MQTT sink with its encoder and its outbox: events in, a broker out, as the daemon joins them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ferstream.events.encode import Encoder, ModelRef
from ferstream.outbox.entry import OutboxCounts
from ferstream.outbox.outbox import Outbox
from ferstream.publishing.sink_set import SinkSet
from ferstream.runtime.clock import SystemClock
from ferstream.runtime.counters import Counters
from ferstream.runtime.observer import Observer
from ferstream.sinks.mqtt.address import BrokerAddress
from ferstream.sinks.mqtt.publisher import MqttPublisher
from ferstream.sinks.mqtt.sink import MqttSink
from ferstream.sinks.mqtt.topics import Topics
from tests.support.brokers import address_fields

NODE = "edge-1"


class MqttOutput(SinkSet):
    """Events to one broker.

    Attributes:
        mqtt: The sink.
    """

    def __init__(
        self,
        url: str,
        *,
        directory: Path | None = None,
        boot_id: str = "boot",
        observer: Observer | None = None,
        address: dict[str, Any] | None = None,
        limits: dict[str, int] | None = None,
        **options: Any,
    ) -> None:
        """``address`` are more fields of BrokerAddress, ``limits`` those of the outbox, ``options`` go to MqttSink."""
        observer = observer or Counters()
        bounds = {"max_events": 100_000, "max_bytes": 64 << 20} | (limits or {})
        outbox = Outbox(directory=directory, max_events=bounds["max_events"], max_bytes=bounds["max_bytes"], observer=observer)
        self._box = outbox
        self.mqtt = MqttSink(
            address=BrokerAddress(**({"client_id": f"ferstream-{NODE}"} | address_fields(url) | (address or {}))),
            topics=Topics(prefix="ferstream", node=NODE),
            outbox=outbox,
            observer=observer,
            **options,
        )
        encoder = Encoder(node=NODE, boot_id=boot_id, model=ModelRef("emotion-edge", "1.0.0"), clock=SystemClock())
        super().__init__(encoder=encoder, sinks=(self.mqtt,), outbox=outbox, observer=observer)

    @property
    def outbox(self) -> Outbox:
        """Its outbox."""
        return self._box

    @property
    def connected(self) -> bool:
        """Whether the broker accepted the connection."""
        return self.mqtt.publisher.connected

    @property
    def reason(self) -> str:
        """Why it did not."""
        return self.mqtt.publisher.reason

    @property
    def publisher(self) -> MqttPublisher:
        """The MQTT thread."""
        return self.mqtt.publisher

    def counts(self) -> OutboxCounts:
        """What became of every event."""
        return self.mqtt.reader.counts()
