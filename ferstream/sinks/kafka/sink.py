"""The Kafka sink: one message per event, keyed by camera; the delivery report is the acknowledgement."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from ferstream.errors import ConfigError
from ferstream.events.schemas import FACE, SUMMARY, TRACK
from ferstream.outbox.entry import Delivery
from ferstream.outbox.outbox import Outbox
from ferstream.runtime.backoff import Backoff
from ferstream.runtime.observer import Observer
from ferstream.runtime.program import install_command
from ferstream.sinks.delivery import Timings
from ferstream.sinks.kafka.cluster import KafkaCluster
from ferstream.sinks.network_sink import NetworkSink
from ferstream.sinks.transport import Accepted, Failed, Refused, Result

if TYPE_CHECKING:
    from ferstream.sinks.kafka.producer import EventProducer

NAME = "kafka"
DEFAULT_SCHEMAS = (FACE, TRACK, SUMMARY)
WINDOW = 1000
"""Most events in flight."""
CONNECT_TIMEOUT_S = 5.0
ACK_TIMEOUT_S = 30.0
"""A cluster that acknowledges nothing for so long gets a new producer."""


class KafkaTransport:
    """Implements ``Transport`` over one producer after the other."""

    def __init__(self, *, cluster: KafkaCluster, topic: str, window: int, ack_timeout_s: float) -> None:
        self._cluster, self._topic = cluster, topic
        self._window, self._ack_timeout_s = window, ack_timeout_s
        self._producer: EventProducer | None = None
        self._one_by_one = 0

    @property
    def label(self) -> str:
        """Addresses of the brokers."""
        return self._cluster.label

    def open(self) -> None:
        """Make the first producer; it connects in the background.

        Raises:
            ConfigError: confluent-kafka is not installed, or librdkafka does not accept the settings.
        """
        try:
            from confluent_kafka import KafkaException
        except ImportError as exc:
            how = install_command("confluent-kafka", extra="kafka")
            raise ConfigError(f"kafka: the package confluent-kafka is missing; install it with: {how}") from exc
        try:
            self._producer = self._make()
        except KafkaException as exc:
            raise ConfigError(f"kafka: {exc.args[0].str()}") from exc

    def connect(self, stopped: Callable[[], bool]) -> Failed | None:
        """Wait until a broker answers and the topic is there."""
        if self._producer is None:
            self._producer = self._make()
        return self._producer.connect(CONNECT_TIMEOUT_S, stopped)

    def submit(self, deliveries: Sequence[Delivery]) -> None:
        """Hand the events to the producer; go back to batches when the refused one is dealt with."""
        producer = self._producer
        if producer is None:
            return
        if producer.one_by_one and not self._one_by_one and not producer.in_flight:
            producer.close(0)
            producer = self._producer = self._make()
        for delivery in deliveries:
            producer.send(delivery)

    def collect(self, timeout_s: float) -> list[Result]:
        """Wait for delivery reports, at most a tenth of a second."""
        if self._producer is None:
            return []
        results = self._producer.results(timeout_s)
        if self._one_by_one:
            self._one_by_one = max(0, self._one_by_one - sum(isinstance(result, Accepted | Refused) for result in results))
        return results

    def end(self, grace_s: float) -> list[Result]:
        """Wait for the last reports, then discard the producer and what it still holds."""
        producer, self._producer = self._producer, None
        if producer is None:
            return []
        results = producer.close(grace_s)
        if producer.refused_a_batch:
            self._one_by_one = self._window
        return results

    def wake(self) -> None:
        """Nothing to do: ``collect`` returns within a tenth of a second."""

    def _make(self) -> EventProducer:
        from ferstream.sinks.kafka.producer import EventProducer

        return EventProducer(
            cluster=self._cluster,
            topic=self._topic,
            window=self._window,
            one_by_one=self._one_by_one > 0,
            ack_timeout_s=self._ack_timeout_s,
        )


class KafkaSink(NetworkSink):
    """Sends each event to one topic, with the name of the camera as key."""

    def __init__(
        self,
        *,
        cluster: KafkaCluster,
        topic: str,
        outbox: Outbox,
        observer: Observer,
        schemas: Collection[str] = DEFAULT_SCHEMAS,
        backoff: Backoff | None = None,
        ack_timeout_s: float = ACK_TIMEOUT_S,
        on_fatal: Callable[[str, BaseException], None] | None = None,
    ) -> None:
        """Prepare; ``open`` starts the thread.

        Args:
            cluster: Where the brokers are, how to be let in and whom to trust.
            topic: Name of the topic.
            outbox: Holds the events; the sink adds its reader, so it is not open yet.
            observer: Receives heartbeats and counts.
            schemas: Ids of the schemas to send.
            backoff: Waits between two attempts; by default 0.5 to 60 s.
            ack_timeout_s: Longest time without any acknowledgement while events are in flight, in seconds.
            on_fatal: Called with the name and the error when the thread ends by a defect.
        """
        super().__init__(
            name=NAME,
            outbox=outbox,
            schemas=schemas,
            transport=KafkaTransport(cluster=cluster, topic=topic, window=WINDOW, ack_timeout_s=ack_timeout_s),
            observer=observer,
            backoff=backoff,
            timings=Timings(window=WINDOW),
            on_fatal=on_fatal,
        )
