"""The traffic on one accepted connection: keeps the send window full, handles acknowledgements, says goodbye.

At most ``window`` messages are unacknowledged; when the connection ends they go back to the outbox. Camera states and
summaries are retained latest values: they are published on every connection, when they change, and again now and then,
so that the broker can forget those of a daemon that ended without a word. The MQTT thread only.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ferstream.errors import BrokerError
from ferstream.events.schemas import NODE, STATE
from ferstream.outbox.entry import Delivery
from ferstream.outbox.reader import OutboxReader
from ferstream.runtime.observer import Observer
from ferstream.runtime.waker import Waker
from ferstream.sinks.mqtt.commands import CommandReceiver
from ferstream.sinks.mqtt.connection import MqttConnection
from ferstream.sinks.mqtt.messages import ONLINE, STOPPED, availability, event_message
from ferstream.sinks.mqtt.packets import Answer, Outgoing
from ferstream.sinks.mqtt.receiver import Receiver, TopicListener
from ferstream.sinks.mqtt.retained_messages import RetainedMessages
from ferstream.sinks.mqtt.retry_queue import RetryQueue
from ferstream.sinks.mqtt.timings import MqttTimings
from ferstream.sinks.mqtt.topics import Topics

NAME = "mqtt"
"""Name of the thread's heartbeat and counters."""
_AT_ONCE_S = 0.25
"""The end of a connection may be an answer to what was sent or answered so many seconds before. Shorter than the shortest
pause between two connections, after which another client with the same client id would end this one."""


@dataclass(frozen=True, slots=True)
class MqttFeed:
    """What an MQTT thread publishes, and what it reads beside commands.

    Attributes:
        reader: Where the events come from.
        retained: The latest states and summaries.
        waker: Is set when either has something new.
        listeners: Topics of other programs that it reads; complete before the thread starts.
    """

    reader: OutboxReader
    retained: RetainedMessages
    waker: Waker
    listeners: list[TopicListener] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _LastAnswer:
    topic: str
    refused: bool
    at: float
    """Monotonic time in seconds."""


class MqttSession:
    """Publishes what the feed has over one connection, until a stop or the end of the connection."""

    def __init__(
        self,
        connection: MqttConnection,
        *,
        topics: Topics,
        feed: MqttFeed,
        commands: CommandReceiver,
        observer: Observer,
        timings: MqttTimings,
        cautious: bool,
    ) -> None:
        """Prepare; ``run`` does everything.

        Args:
            connection: An accepted connection.
            topics: Topics of this node.
            feed: What to publish.
            commands: Subscribes to commands and hands them on.
            observer: Counts messages and receives heartbeats.
            timings: Window and pauses.
            cautious: Send the first messages one by one.
        """
        self._connection, self._topics = connection, topics
        self._receivers: tuple[Receiver, ...] = (commands, *feed.listeners)
        self._reader, self._retained, self._waker = feed.reader, feed.retained, feed.waker
        self._observer, self._timings = observer, timings
        self._retries = RetryQueue(
            reader=feed.reader,
            observer=observer,
            broker=connection.address.label,
            pause_floor_s=timings.retry_floor_s,
            pause_cap_s=timings.retry_cap_s,
        )
        self._full_window = min(timings.window, connection.receive_maximum)
        self._cautious_left = timings.cautious_messages if cautious else 0
        self._in_flight: dict[int, Delivery | Outgoing] = {}
        """Packet id to an event, or to an Outgoing: availability or a retained message."""
        self._unsent: deque[Outgoing] = deque()
        """Retained messages that this connection has not sent yet."""
        self._last_qos_0: tuple[str, float] | None = None
        """Topic of the last message with QoS 0, and when it was sent."""
        self._last_answer: _LastAnswer | None = None
        self._answers: Counter[str] = Counter()
        """Answers on this connection, by topic."""
        self._acknowledged_events = self._acknowledged_retained = 0

    @property
    def delivered(self) -> bool:
        """Whether the connection did its work, however short it was.

        A broker that accepts states but ends the connection at the first event did not.
        """
        if self._acknowledged_events:
            return True
        waiting = any(isinstance(sent, Delivery) for sent in self._in_flight.values())
        return bool(self._acknowledged_retained) and not waiting

    def last_words(self) -> str | None:
        """Return which message the end of the connection may be an answer to, for people; None if there is none.

        The first that was not answered; or the last answered one, if the end followed at once and the answer was a
        refusal, or was the first on that topic: Mosquitto acknowledges a message to a topic that is not allowed (MQTT 3.1.1),
        and closes the connection.
        """
        for receiver in self._receivers:
            if receiver.unanswered:
                return f"the subscription to {receiver.topic}"
        recent = self._last_answer if self._last_answer and time.monotonic() - self._last_answer.at < _AT_ONCE_S else None
        if recent is not None and recent.refused:
            return f"a message to {recent.topic}"
        for sent in self._in_flight.values():
            return f"a message to {self._topic_of(sent)}"
        if recent is not None and self._answers[recent.topic] == 1:
            return f"a message to {recent.topic}"
        if self._last_qos_0 is not None and time.monotonic() - self._last_qos_0[1] < _AT_ONCE_S:
            return f"a message to {self._last_qos_0[0]}"
        return None

    def run(self, stop: threading.Event) -> None:
        """Publish until ``stop`` is set; then publish ``stopped`` and disconnect.

        Raises:
            BrokerError: The connection is lost.
        """
        self._announce()
        answered_at = refreshed_at = time.monotonic()
        while not stop.is_set():
            self._observer.beat(NAME)
            self._waker.clear()
            self._unsent.extend(self._retained.changed())
            self._send_retained()
            self._send_events()
            answers, incoming = self._connection.step(self._step_s, self._waker.fileno())
            now = time.monotonic()
            if self._handle_answers(answers) or not self._in_flight:
                answered_at = now
            elif now - answered_at > self._timings.ack_timeout_s:
                raise BrokerError(f"{self._connection.address.label}: nothing acknowledged for {self._timings.ack_timeout_s:g} s")
            for receiver in self._receivers:
                receiver.handle(self._connection, incoming)
            if now - refreshed_at > self._timings.refresh_s:
                refreshed_at = now
                self._queue(self._retained.latest())
        self._say_goodbye()

    @property
    def _room(self) -> int:
        """Messages that may be sent now."""
        if self._cautious_left <= 0:
            return self._full_window - len(self._in_flight)
        pausing = self._last_answer is not None and time.monotonic() - self._last_answer.at < self._timings.cautious_pause_s
        return 0 if self._in_flight or pausing else 1

    @property
    def _step_s(self) -> float:
        """Longest wait for the network, in seconds."""
        return self._timings.step_s if self._cautious_left <= 0 else min(self._timings.step_s, self._timings.cautious_pause_s)

    def _announce(self) -> None:
        for receiver in self._receivers:
            receiver.subscribe(self._connection)
        self._queue(self._retained.everything())

    def _queue(self, retained: Sequence[Outgoing]) -> None:
        """Queue availability and retained messages; the broker forgets them if this is not repeated in time (MQTT 5)."""
        self._unsent.append(availability(self._topics, ONLINE, expiry_s=self._timings.state_expiry_s))
        self._unsent.extend(retained)

    # -- sending -------------------------------------------------------------------------------

    def _send_events(self) -> None:
        deliveries = self._retries.due(self._room)
        room = self._room - len(self._retries) - len(deliveries)
        if room > 0:
            deliveries += self._reader.take(room)
        messages = [(delivery, event_message(self._topics, delivery)) for delivery in deliveries]
        messages = [(delivery, message) for delivery, message in messages if self._fits(delivery, message)]
        if not messages:
            return
        resent = sum(delivery.sent for delivery, _ in messages)
        if resent:
            self._observer.count("mqtt_publish", "resent", resent)
        for delivery, _ in messages:
            delivery.sent = True
        packet_ids = self._connection.publish_all([message for _, message in messages])
        self._in_flight.update(zip(packet_ids, (delivery for delivery, _ in messages), strict=True))

    def _fits(self, delivery: Delivery | None, message: Outgoing) -> bool:
        """Whether the packet is within the broker's limit; drops an event that is not."""
        limit = self._connection.maximum_packet_bytes
        if limit is None or (size := self._connection.packet_bytes(message)) <= limit:
            return True
        self._retries.too_large(delivery, message.topic, size=size, limit=limit)
        return False

    def _send_retained(self) -> None:
        """Send retained messages; those with QoS 1 count in the broker's window as events do."""
        while self._unsent and self._room > 0:
            message = self._unsent.popleft()
            if not self._fits(None, message):
                continue
            if message.qos:
                self._in_flight[self._connection.publish(self._perishable(message))] = message
            else:
                self._connection.publish(message)
                self._last_qos_0 = (message.topic, time.monotonic())

    def _perishable(self, message: Outgoing) -> Outgoing:
        """Return a state of a camera or of the node with an expiry; other messages as they are."""
        if message.expiry_s is None and (message.user or {}).get("schema") in {STATE, NODE}:
            return replace(message, expiry_s=self._timings.state_expiry_s)
        return message

    # -- answers -------------------------------------------------------------------------------

    def _handle_answers(self, answers: Sequence[Answer]) -> bool:
        """Acknowledge or retry what the broker answered; True if there was an answer."""
        done: list[Delivery] = []
        for answer in answers:
            sent = self._in_flight.pop(answer.mid, None)
            if sent is not None:
                self._note_answer(self._topic_of(sent), answer)
            if isinstance(sent, Outgoing):
                self._handle_retained_answer(sent, answer)
            elif sent is not None and answer.ok:
                done.append(sent)
            elif sent is not None:
                self._retries.add(sent, answer.code, self._topics.of(sent.camera, sent.schema))
        self._cautious_left -= len(answers)
        if done:
            self._acknowledged_events += len(done)
            self._reader.acknowledge(done)
            self._observer.count("mqtt_publish", "acknowledged", len(done))
        return bool(answers)

    def _note_answer(self, topic: str, answer: Answer) -> None:
        self._answers[topic] += 1
        self._last_answer = _LastAnswer(topic, not answer.ok, time.monotonic())

    def _topic_of(self, sent: Delivery | Outgoing) -> str:
        return sent.topic if isinstance(sent, Outgoing) else self._topics.of(sent.camera, sent.schema)

    def _handle_retained_answer(self, message: Outgoing, answer: Answer) -> None:
        if answer.ok:
            self._acknowledged_retained += 1
            self._retained.acknowledged(message)
        else:
            self._retries.log(message.topic, answer.code, "it is sent again on the next connection")

    # -- end -----------------------------------------------------------------------------------

    def _say_goodbye(self) -> None:
        """Publish the last states and ``stopped``, without an expiry, and disconnect.

        If ``stopped`` cannot be sent in time, the connection is closed so that the broker publishes the Last Will.
        """
        deadline = time.monotonic() + self._timings.goodbye_s
        last = availability(self._topics, STOPPED)
        self._unsent.extend([*self._retained.latest(), last])
        while True:
            self._send_last()
            left_s = deadline - time.monotonic()
            if left_s <= 0 or (not self._unsent and last not in self._in_flight.values()):
                break
            answers, _ = self._connection.step(left_s)
            self._handle_answers(answers)
        if last in self._unsent:
            self._connection.close()
        else:
            self._connection.disconnect()

    def _send_last(self) -> None:
        while self._unsent and len(self._in_flight) < self._full_window:
            message = self._unsent.popleft()
            if self._fits(None, message):
                packet_id = self._connection.publish(message)
                if message.qos:
                    self._in_flight[packet_id] = message
