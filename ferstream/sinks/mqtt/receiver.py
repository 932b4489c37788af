"""Subscriptions of the MQTT thread: topics that the daemon reads, subscribed to anew on each connection."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from ferstream.sinks.mqtt import reason_codes
from ferstream.sinks.mqtt.connection import MqttConnection
from ferstream.sinks.mqtt.packets import FAILURE, Incoming

_LOG = logging.getLogger(__name__)


class Receiver:
    """One subscription, whose refusal is logged; a subclass says what becomes of the messages."""

    def __init__(self, *, topic: str, broker: str, if_refused: str) -> None:
        """Prepare; ``subscribe`` does the rest.

        Args:
            topic: Filter of the topics.
            broker: Address of the broker, for the log.
            if_refused: What does not work if the broker refuses the subscription, for the log.
        """
        self._topic, self._broker, self._if_refused = topic, broker, if_refused
        self._subscription: int | None = None

    @property
    def topic(self) -> str:
        """Filter of the topics."""
        return self._topic

    @property
    def unanswered(self) -> bool:
        """Whether the broker has not answered the subscription."""
        return self._subscription is not None

    def subscribe(self, connection: MqttConnection) -> None:
        """Subscribe on a new connection.

        Raises:
            BrokerError: The connection is lost.
        """
        self._subscription = connection.subscribe(self._topic)

    def handle(self, connection: MqttConnection, incoming: Sequence[Incoming]) -> None:
        """Hand on what came, and log a subscription that was refused."""
        if self._subscription is not None and (granted := connection.subscribed(self._subscription)) is not None:
            self._subscription = None
            if granted >= FAILURE:
                self._log_refusal(granted)
        for message in incoming:
            self.receive(message)

    def receive(self, message: Incoming) -> None:
        """Take one message of the connection, which may be of another subscription."""
        raise NotImplementedError

    def _log_refusal(self, code: int) -> None:
        why = reason_codes.words(reason_codes.SUBSCRIBE_FAILED, code)
        _LOG.error(
            "mqtt: %s: %s refused the subscription to %s: %s; allow this user to read there",
            self._if_refused,
            self._broker,
            self._topic,
            why,
        )


class TopicListener(Receiver):
    """Reads one topic of another program. Retained messages are ignored: they are repeated on each connection."""

    def __init__(self, *, topic: str, broker: str, if_refused: str, on_message: Callable[[bytes], None]) -> None:
        """Prepare.

        Args:
            topic: The topic, without wildcards.
            broker: Address of the broker, for the log.
            if_refused: What does not work if the broker refuses the subscription, for the log.
            on_message: Takes the payload of each message; must not raise. Called by the MQTT thread.
        """
        super().__init__(topic=topic, broker=broker, if_refused=if_refused)
        self._on_message = on_message

    def receive(self, message: Incoming) -> None:
        """Hand on a message of the topic."""
        if message.topic == self._topic and not message.retain:
            self._on_message(message.payload)
