"""One Kafka producer of librdkafka: sends events in order and reports what became of each.

The producer is idempotent and never gives an event up by itself (``message.timeout.ms`` is 0): it repeats what can be
repeated, in order and without doubles. What it cannot repeat ends it: the caller makes a new one and sends everything
again that was not acknowledged.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from ferstream.outbox.entry import Delivery
from ferstream.runtime.redaction import redact
from ferstream.sinks.kafka.cluster import KafkaCluster
from ferstream.sinks.transport import Accepted, Failed, Refused, Result

POLL_S = 0.1
"""Longest call into librdkafka while events are in flight; a new event waits no longer than this."""
METADATA_TIMEOUT_S = 0.5
LINGER_MS = 5

_PURGED = frozenset((KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT))  # noqa: SLF001 (the public names of librdkafka's own codes)
_REFUSED = frozenset(
    (
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_MSG,
        KafkaError.INVALID_MSG_SIZE,
        KafkaError.INVALID_RECORD,
        KafkaError.INVALID_TIMESTAMP,
    )
)
"""Codes with which a broker refuses a batch for what is in it."""
_WAIT_FOR_TOPIC = frozenset(
    (KafkaError.LEADER_NOT_AVAILABLE, KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN)  # noqa: SLF001
)

_LOG = logging.getLogger(__name__)


class EventProducer:
    """A producer and the results of its events; used by one thread."""

    def __init__(self, *, cluster: KafkaCluster, topic: str, window: int, one_by_one: bool, ack_timeout_s: float) -> None:
        """Make the producer; it connects by itself.

        Args:
            cluster: Where the brokers are.
            topic: Name of the topic.
            window: Most events that are handed over without an acknowledgement.
            one_by_one: Put every event into a batch of its own, so that a refusal concerns one event.
            ack_timeout_s: Longest time without any acknowledgement while events are in flight, in seconds.

        Raises:
            KafkaException: librdkafka does not accept the settings.
        """
        self._topic, self._label = topic, cluster.label
        self._ack_timeout_s = ack_timeout_s
        self.one_by_one = one_by_one
        """Whether every event has a batch of its own."""
        self._results: list[Result] = []
        self._in_flight = 0
        self._heard_at = time.monotonic()
        self._last_error = ""
        self._failure: str | None = None
        self._unreachable = False
        self.refused_a_batch = False
        """Whether a broker refused a batch of several events."""
        config: dict[str, Any] = {
            **cluster.properties(),
            "enable.idempotence": True,
            "enable.gapless.guarantee": True,
            "message.timeout.ms": 0,
            "partitioner": "murmur2_random",
            "linger.ms": LINGER_MS,
            "queue.buffering.max.messages": 2 * window,
            "batch.num.messages": 1 if one_by_one else window,
            "error_cb": self._on_error,
        }
        self._producer = Producer(config, logger=_RdkafkaLog())

    @property
    def in_flight(self) -> int:
        """Events handed over without a report."""
        return self._in_flight

    def connect(self, timeout_s: float, stopped: Callable[[], bool]) -> Failed | None:
        """Wait until a broker answers and the topic is there."""
        deadline = time.monotonic() + timeout_s
        while True:
            error = self._topic_error()
            if error is None or stopped():
                return None
            if self._failure is not None:
                return Failed(self._failure)
            if error.code() not in _WAIT_FOR_TOPIC:
                return Failed(self._text(f"topic {self._topic}: {error.str()}"))
            if self._unreachable or time.monotonic() >= deadline:
                return Failed(self._text(self._last_error or error.str()))

    def send(self, delivery: Delivery) -> None:
        """Hand one event over."""
        headers: dict[str, str | bytes | None] = {"schema": delivery.schema, "seq": str(delivery.seq), "boot_id": delivery.boot_id}
        if not self._in_flight:
            self._heard_at = time.monotonic()
        try:
            self._producer.produce(
                self._topic,
                value=delivery.payload,
                key=delivery.camera.encode(),
                headers=headers,
                on_delivery=functools.partial(self._on_report, delivery),
            )
        except KafkaException as exc:
            error: KafkaError = exc.args[0]
            if error.code() in _REFUSED:
                self._results.append(Refused(delivery, error.name()))
            else:
                self._failure = self._text(error.str())
        except BufferError:
            self._failure = self._text("the queue of the producer is full")
        else:
            self._in_flight += 1

    def results(self, timeout_s: float) -> list[Result]:
        """Wait for reports; return the results since the last call."""
        self._poll(0 if self._results else min(timeout_s, POLL_S))
        results, self._results = self._results, []
        if any(not isinstance(result, Failed) for result in results):
            self._heard_at = time.monotonic()
        failure = self._check()
        return results if failure is None else [*results, Failed(failure)]

    def close(self, grace_s: float) -> list[Result]:
        """Wait up to ``grace_s`` for reports, discard the rest; return the last results."""
        if self._failure is None and not self._unreachable:
            self._poll_until(time.monotonic() + grace_s)
        self._producer.purge()
        self._poll_until(time.monotonic() + METADATA_TIMEOUT_S)
        results, self._results = self._results, []
        return results

    def _poll_until(self, deadline: float) -> None:
        while self._in_flight and (left_s := deadline - time.monotonic()) > 0:
            self._poll(min(left_s, POLL_S))

    def _poll(self, timeout_s: float) -> None:
        try:
            self._producer.poll(timeout_s)
        except KafkaException as exc:  # a fatal error of the producer is raised, not given to error_cb
            self._on_error(exc.args[0])

    # -- what librdkafka reports, from within poll ----------------------------------------------

    def _on_report(self, delivery: Delivery, error: KafkaError | None, message: Message) -> None:
        self._in_flight -= 1
        if error is None:
            self._results.append(Accepted(delivery))
        elif error.code() in _REFUSED and self.one_by_one:
            self._results.append(Refused(delivery, error.name()))
        elif error.code() in _REFUSED:
            self.refused_a_batch = True
            self._results.append(Failed(self._text(f"a batch of events was refused ({error.name()}); sending each event alone")))
        elif error.code() not in _PURGED:
            self._results.append(Failed(self._text(error.str())))

    def _on_error(self, error: KafkaError) -> None:
        code = error.code()
        if error.fatal():
            self._failure = self._text(f"the producer failed: {error.str()}")
        elif code == KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001
            self._unreachable = True
        elif code in (KafkaError._AUTHENTICATION, KafkaError._SSL):  # noqa: SLF001
            self._failure = self._text(error.str())
        else:
            self._last_error = error.str()

    def _check(self) -> str | None:
        """Return why this producer is of no more use."""
        if self._failure is not None:
            return self._failure
        if self._unreachable and (self._in_flight or self._topic_error() is not None):
            return self._text(self._last_error or "no broker can be reached")
        self._unreachable = False  # an idle connection was closed, and a new one works
        if self._in_flight and time.monotonic() - self._heard_at > self._ack_timeout_s:
            return self._text(f"nothing was acknowledged for {self._ack_timeout_s:g} s")
        return None

    def _topic_error(self) -> KafkaError | None:
        """Ask a broker for the topic; return what is wrong."""
        self._poll(0)
        try:
            metadata = self._producer.list_topics(self._topic, timeout=METADATA_TIMEOUT_S)
        except KafkaException as exc:
            error: KafkaError = exc.args[0]
            return error
        missing: KafkaError | None = metadata.topics[self._topic].error
        return missing

    def _text(self, detail: str) -> str:
        return redact(f"{self._label}: {detail}"[:300])


class _RdkafkaLog:
    """Takes librdkafka's own log lines, which repeat every few seconds of an outage: they are for debugging only."""

    def log(self, level: int, message: str, *arguments: object) -> None:
        """Write one line."""
        _LOG.debug(message, *arguments)
