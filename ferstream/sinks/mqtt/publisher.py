"""The MQTT thread: connects, keeps the send window full, handles acknowledgements, reconnects.

``_session`` is one connection, ``_run`` repeats it; the wait between two attempts is a wait for the stop. At
most ``window`` messages are unacknowledged; when a connection ends they go back to the outbox, and the next
connection sends them again, in order. ``RetryQueue`` handles what the broker refuses. Camera states and summaries are
retained latest values: they are published on every connect and when they change.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ferstream.errors import BrokerAuthError, BrokerError, FerstreamError
from ferstream.outbox.entry import Delivery
from ferstream.outbox.reader import OutboxReader
from ferstream.runtime.backoff import Backoff
from ferstream.runtime.observer import Observer
from ferstream.runtime.waker import Waker
from ferstream.sinks.mqtt.address import BrokerAddress
from ferstream.sinks.mqtt.commands import CommandReceiver, OnCommand
from ferstream.sinks.mqtt.connection import MqttConnection
from ferstream.sinks.mqtt.packets import Answer, Outgoing, Will
from ferstream.sinks.mqtt.retained_messages import RetainedMessages
from ferstream.sinks.mqtt.retry_queue import RetryQueue
from ferstream.sinks.mqtt.topics import Topics

ONLINE, OFFLINE, STOPPED = b"online", b"offline", b"stopped"
MESSAGE_EXPIRY_S = 3600
WILL_DELAY_S = 5
HEADER_BYTES = 512
"""Upper bound of the topic and properties of an event."""
_NAME = "mqtt"

_LOG = logging.getLogger(__name__)

OnFatal = Callable[[str, BaseException], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttTimings:
    """How the MQTT thread waits; all but ``window`` and the factor in seconds.

    Attributes:
        window: Most messages that are sent and not acknowledged.
        reconnect_floor_s: Shortest pause between two connections.
        reconnect_cap_s: Longest pause between two connections.
        reconnect_factor: Growth of the longest pause with each connection that fails or delivers nothing; at 1.5 no pause
            that begins within 2 s of an outage is longer than 2.6 s.
        healthy_after_s: A connection that stood for so long resets the pause, even if there was nothing to deliver.
        ack_timeout_s: A broker that acknowledges nothing for so long is left, even if it answers pings.
        step_s: Longest wait for the network at a time.
        goodbye_s: Time for the last messages at a stop.
        retry_floor_s: Pause before a refused message is sent again.
        retry_cap_s: Longest such pause.
    """

    window: int = 64
    reconnect_floor_s: float = 0.5
    reconnect_cap_s: float = 30.0
    reconnect_factor: float = 1.5
    healthy_after_s: float = 10.0
    ack_timeout_s: float = 30.0
    step_s: float = 0.5
    goodbye_s: float = 2.0
    retry_floor_s: float = 0.5
    retry_cap_s: float = 30.0


@dataclass(frozen=True, slots=True)
class MqttFeed:
    """What an MQTT thread publishes.

    Attributes:
        reader: Where the events come from.
        retained: The latest states and summaries.
        waker: Is set when either has something new.
    """

    reader: OutboxReader
    retained: RetainedMessages
    waker: Waker


class MqttPublisher:
    """Publishes the messages of one outbox reader, and the retained messages, to one broker."""

    def __init__(
        self,
        *,
        address: BrokerAddress,
        topics: Topics,
        feed: MqttFeed,
        observer: Observer,
        timings: MqttTimings,
        backoff: Backoff | None = None,
        on_command: OnCommand | None = None,
        on_fatal: OnFatal | None = None,
    ) -> None:
        """Make the thread; ``start`` runs it.

        Args:
            address: The broker.
            topics: Topics of this node.
            feed: What to publish.
            observer: Counts connections and messages.
            timings: Window and pauses.
            backoff: Pauses between connections; by default as the timings say.
            on_command: Called by the MQTT thread with (camera, payload) of each command; None subscribes to no commands.
            on_fatal: Called with the thread's name and the error should the thread die.
        """
        self._address, self._topics, self._observer = address, topics, observer
        self._reader, self._retained, self._waker = feed.reader, feed.retained, feed.waker
        self._timings, self._on_fatal = timings, on_fatal
        self._backoff = backoff or Backoff(
            floor_s=timings.reconnect_floor_s,
            cap_s=timings.reconnect_cap_s,
            factor=timings.reconnect_factor,
            healthy_after_s=timings.healthy_after_s,
        )
        self._stop = threading.Event()
        self._connected = False
        self._reason = "not connected yet"
        self._connects = 0
        self._commands = CommandReceiver(topics=topics, broker=address.label, observer=observer, on_command=on_command)
        self._retries = RetryQueue(
            reader=feed.reader,
            observer=observer,
            broker=address.label,
            pause_floor_s=timings.retry_floor_s,
            pause_cap_s=timings.retry_cap_s,
        )
        self._in_flight: dict[int, Delivery | Outgoing] = {}
        """Packet id to an event, or to an Outgoing: availability or a retained message."""
        self._acknowledged_events = self._acknowledged_retained = 0
        """Acknowledgements on this connection."""
        self._unsent: deque[Outgoing] = deque()
        """Retained messages that this connection has not sent yet."""
        self._thread = threading.Thread(target=self._run, name=_NAME, daemon=True)

    @property
    def connected(self) -> bool:
        """Whether the broker accepted the connection and it stands."""
        return self._connected

    @property
    def reason(self) -> str:
        """Why it is not connected, in words; empty when it is."""
        return self._reason

    @property
    def connects(self) -> int:
        """Connections that the broker accepted so far."""
        return self._connects

    @property
    def thread(self) -> threading.Thread:
        """The MQTT thread."""
        return self._thread

    def start(self) -> None:
        """Start the thread, once."""
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Publish ``stopped``, disconnect and end the thread; True if it ended in time."""
        self._stop.set()
        self._waker.set()
        if self._thread.ident is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    # -- the MQTT thread -------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._connect_once()
                if self._backoff.wait(self._stop):
                    return
        except BaseException as exc:  # a thread must not die unnoticed
            self._reason = f"internal error: {type(exc).__name__}"
            if self._on_fatal is None:
                raise
            self._on_fatal(_NAME, exc)
        finally:
            self._connected = False

    def _connect_once(self) -> None:
        connection, began = None, time.monotonic()
        try:
            will = Will(topic=self._topics.availability, payload=OFFLINE, delay_s=WILL_DELAY_S)
            connection = MqttConnection(self._address, will=will)
            connection.connect(is_cancelled=self._stop.is_set)
            began = time.monotonic()
            self._session(connection)
        except FerstreamError as exc:
            self._log_failure(exc)
        finally:
            if self._connected:
                self._connected = False
                if self._delivered() and connection is not None and not connection.taken_over:
                    self._backoff.reset()
                self._backoff.succeeded(time.monotonic() - began)
            if connection is not None:
                connection.close()
            self._in_flight.clear()
            self._unsent.clear()
            self._retries.clear()
            self._acknowledged_events = self._acknowledged_retained = 0
            self._reader.give_back()
            # No heartbeat is due until the next session: the pause, or a name that does not resolve, may outlast any watchdog.
            self._observer.forget_stage(_NAME)

    def _delivered(self) -> bool:
        """Whether the connection did its work, however short it was.

        A broker that accepts states but ends the connection at the first event did not.
        """
        if self._acknowledged_events:
            return True
        waiting = any(isinstance(sent, Delivery) for sent in self._in_flight.values())
        return bool(self._acknowledged_retained) and not waiting

    def _log_failure(self, exc: FerstreamError) -> None:
        was_connected, reason = self._connected, str(exc)
        if was_connected or reason != self._reason:
            level = logging.ERROR if isinstance(exc, BrokerAuthError) else logging.WARNING
            _LOG.log(level, "mqtt: %s%s", reason, "" if was_connected else "; retrying")
        self._reason = reason
        self._observer.count("mqtt_disconnects" if was_connected else "mqtt_connect_failures")

    def _session(self, connection: MqttConnection) -> None:
        self._announce(connection)
        window = min(self._timings.window, connection.receive_maximum)
        answered_at = time.monotonic()
        while not self._stop.is_set():
            self._observer.beat(_NAME)
            self._waker.clear()
            self._unsent.extend(self._retained.changed())
            self._send_retained(connection, window)
            self._send_events(connection, window)
            answers, incoming = connection.step(self._timings.step_s, self._waker.fileno())
            if self._handle_answers(answers) or not self._in_flight:
                answered_at = time.monotonic()
            elif time.monotonic() - answered_at > self._timings.ack_timeout_s:
                raise BrokerError(f"{self._address.label}: nothing acknowledged for {self._timings.ack_timeout_s:g} s")
            self._commands.handle(connection, incoming)
        self._say_goodbye(connection)

    def _announce(self, connection: MqttConnection) -> None:
        self._connects += 1
        self._connected, self._reason = True, ""
        _LOG.info("mqtt: connected to %s", self._address.label)
        self._observer.count("mqtt_connects")
        self._unsent.append(self._availability(ONLINE))
        self._unsent.extend(self._retained.everything())
        self._commands.subscribe(connection)

    def _send_events(self, connection: MqttConnection, window: int) -> None:
        deliveries = self._retries.due(window - len(self._in_flight))
        room = window - len(self._in_flight) - len(self._retries) - len(deliveries)
        if room > 0:
            deliveries += [item for item in self._reader.take(room) if self._fits(item, connection.maximum_packet_bytes)]
        if not deliveries:
            return
        resent = sum(delivery.sent for delivery in deliveries)
        if resent:
            self._observer.count("mqtt_publish", "resent", resent)
        for delivery in deliveries:
            delivery.sent = True
        packet_ids = connection.publish_all([self._outgoing(delivery) for delivery in deliveries])
        self._in_flight.update(zip(packet_ids, deliveries, strict=True))

    def _fits(self, delivery: Delivery, maximum_bytes: int | None) -> bool:
        if maximum_bytes is None or delivery.size + HEADER_BYTES <= maximum_bytes:
            return True
        self._reader.refuse(delivery, "rejected")
        self._observer.count("mqtt_publish", "rejected")
        return False

    def _outgoing(self, delivery: Delivery) -> Outgoing:
        return Outgoing(
            topic=self._topics.of(delivery.camera, delivery.schema),
            payload=delivery.payload,
            expiry_s=MESSAGE_EXPIRY_S,
            user={"schema": delivery.schema, "seq": str(delivery.seq), "boot_id": delivery.boot_id},
        )

    def _availability(self, word: bytes) -> Outgoing:
        return Outgoing(topic=self._topics.availability, payload=word, retain=True, content_type="text/plain")

    def _send_retained(self, connection: MqttConnection, window: int) -> None:
        """Send retained messages; those with QoS 1 count in the broker's window as events do."""
        while self._unsent and len(self._in_flight) < window:
            message = self._unsent.popleft()
            packet_id = connection.publish(message)
            if message.qos:
                self._in_flight[packet_id] = message

    def _handle_answers(self, answers: Sequence[Answer]) -> bool:
        """Acknowledge or retry what the broker answered; True if there was an answer."""
        done: list[Delivery] = []
        for answer in answers:
            sent = self._in_flight.pop(answer.mid, None)
            if isinstance(sent, Outgoing):
                self._handle_retained_answer(sent, answer)
            elif sent is not None and answer.ok:
                done.append(sent)
            elif sent is not None:
                self._retries.add(sent, answer.code, self._topics.of(sent.camera, sent.schema))
        if done:
            self._acknowledged_events += len(done)
            self._reader.acknowledge(done)
            self._observer.count("mqtt_publish", "acknowledged", len(done))
        return bool(answers)

    def _handle_retained_answer(self, message: Outgoing, answer: Answer) -> None:
        if answer.ok:
            self._acknowledged_retained += 1
            self._retained.acknowledged(message)
        else:
            self._retries.log(message.topic, answer.code, "it is sent again on the next connection")

    def _say_goodbye(self, connection: MqttConnection) -> None:
        deadline = time.monotonic() + self._timings.goodbye_s
        self._unsent.extend(self._retained.changed())
        self._send_retained(connection, connection.receive_maximum)
        last = connection.publish(self._availability(STOPPED))
        answered: set[int] = set()
        while last not in answered and (left := deadline - time.monotonic()) > 0:
            answers, _ = connection.step(left)
            answered.update(answer.mid for answer in answers)
            self._handle_answers(answers)
        connection.disconnect()
