"""A subscriber that keeps its session across reconnects and ends it when it stops; for ``ferstream gaps`` and for tests."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from ferstream.errors import BrokerAuthError, BrokerError
from ferstream.runtime.backoff import Backoff
from ferstream.sinks.mqtt.address import BrokerAddress
from ferstream.sinks.mqtt.connection import MqttConnection
from ferstream.sinks.mqtt.packets import FAILURE, Incoming

SESSION_S = 3600
END_TIMEOUT_S = 2.0
"""For the last connection, which only ends the session."""
_STEP_S = 0.2

_LOG = logging.getLogger(__name__)


def listen(
    address: BrokerAddress,
    topics: Sequence[str],
    *,
    on_message: Callable[[Incoming], None],
    stop: threading.Event,
    seconds: float | None = None,
    on_ready: Callable[[], None] = lambda: None,
    on_lost: Callable[[BrokerError], None] = lambda _: None,
    qos: int = 1,
) -> None:
    """Call ``on_message`` with every message until ``stop`` is set or ``seconds`` have passed.

    A connection that breaks is made again, and what the broker kept meanwhile is received.
    ``on_ready`` is called when the broker has granted the subscriptions.

    Raises:
        BrokerError: The first connection fails.
        BrokerAuthError: The credentials are refused, or the subscription is.
        ConfigError: A certificate cannot be used.
    """
    deadline = time.monotonic() + seconds if seconds is not None else None

    def over() -> bool:
        return stop.is_set() or (deadline is not None and time.monotonic() >= deadline)

    listener = _Listener(address, dict.fromkeys(topics, qos), on_message, on_ready)
    backoff = Backoff(floor_s=0.1, cap_s=2.0)
    try:
        while not over():
            try:
                listener.listen(over)
            except BrokerError as exc:
                if isinstance(exc, BrokerAuthError) or not listener.ready:
                    raise
                on_lost(exc)
                backoff.wait(stop)
    finally:
        if listener.has_session:
            _end_session(listener.address)


class _Listener:
    """One subscriber across all its connections.

    Attributes:
        ready: The subscriptions were granted at least once.
        has_session: The broker keeps a session for this client.
    """

    def __init__(
        self, address: BrokerAddress, topics: Mapping[str, int], on_message: Callable[[Incoming], None], on_ready: Callable[[], None]
    ) -> None:
        self.address = replace(address, resume=True, session_expiry_s=SESSION_S)
        self.ready = self.has_session = False
        self._topics, self._on_message, self._on_ready = topics, on_message, on_ready

    def listen(self, over: Callable[[], bool]) -> None:
        """Connect and receive until ``over`` is true."""
        connection = MqttConnection(self.address)
        try:
            connection.connect()
            self.has_session = True
            self._receive(connection, over)
            connection.disconnect(end_session=True)
            self.has_session = self.address.protocol != 5
        finally:
            connection.close()

    def _receive(self, connection: MqttConnection, over: Callable[[], bool]) -> None:
        waiting = {connection.subscribe(topic, qos): topic for topic, qos in self._topics.items()}
        while not over():
            _, incoming = connection.step(_STEP_S)
            for message in incoming:
                self._on_message(message)
            if waiting and _granted(connection, waiting, self.address.label):
                waiting = {}
                self.ready = True
                self._on_ready()


def _granted(connection: MqttConnection, waiting: dict[int, str], where: str) -> bool:
    codes = {topic: connection.subscribed(mid) for mid, topic in waiting.items()}
    for topic, code in codes.items():
        if code is not None and code >= FAILURE:
            raise BrokerAuthError(f"{where} does not let this user read {topic}")
    return None not in codes.values()


def _end_session(address: BrokerAddress) -> None:
    """Connect once with a clean start: the way out of a session on MQTT 3.1.1, and when the last connection was lost."""
    connection = MqttConnection(replace(address, resume=False, session_expiry_s=0))
    try:
        connection.connect(END_TIMEOUT_S)
        connection.disconnect()
    except BrokerError as exc:
        _LOG.warning("mqtt: %s; it keeps a session of %s for now", exc, address.client_id)
    finally:
        connection.close()
