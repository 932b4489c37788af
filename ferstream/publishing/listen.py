"""A subscriber that keeps its session over reconnects, for ``ferstream gaps`` and for tests."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from ferstream.errors import BrokerAuthError, BrokerError, ConfigError
from ferstream.publishing.address import BrokerAddress
from ferstream.publishing.mqtt import Connection
from ferstream.publishing.packets import Incoming
from ferstream.runtime.backoff import Backoff

SESSION_S = 3600
_STEP_S = 0.2
_REFUSED = 0x80


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
    """Hand every message to ``on_message`` until ``stop`` is set or ``seconds`` are over.

    A connection that breaks is made again, and what the broker kept meanwhile is received.
    ``on_ready`` is called when a subscription stands.

    Raises:
        BrokerError: The first connection fails.
        BrokerAuthError: The credentials are refused, or the subscription is.
        ConfigError: A certificate cannot be used.
    """
    address = replace(address, resume=True, session_expiry_s=SESSION_S)
    deadline = time.monotonic() + seconds if seconds is not None else None
    backoff = Backoff(floor_s=0.1, cap_s=2.0)
    ready = False

    def over() -> bool:
        return stop.is_set() or (deadline is not None and time.monotonic() >= deadline)

    def stand() -> None:
        nonlocal ready
        ready = True
        on_ready()

    while not over():
        try:
            _listen_once(address, dict.fromkeys(topics, qos), on_message, over, stand)
        except (BrokerAuthError, ConfigError):
            raise
        except BrokerError as exc:
            if not ready:
                raise
            on_lost(exc)
            backoff.wait(stop)


def _listen_once(
    address: BrokerAddress,
    topics: Mapping[str, int],
    on_message: Callable[[Incoming], None],
    over: Callable[[], bool],
    on_ready: Callable[[], None],
) -> None:
    connection = Connection(address)
    try:
        connection.connect()
        waiting = {connection.subscribe(topic, qos): topic for topic, qos in topics.items()}
        while not over():
            _, incoming = connection.step(_STEP_S)
            for message in incoming:
                on_message(message)
            if waiting and _granted(connection, waiting, address.label):
                waiting = {}
                on_ready()
    finally:
        connection.disconnect()


def _granted(connection: Connection, waiting: dict[int, str], where: str) -> bool:
    codes = {topic: connection.subscribed(mid) for mid, topic in waiting.items()}
    for topic, code in codes.items():
        if code is not None and code >= _REFUSED:
            raise BrokerAuthError(f"{where} does not let this user read {topic}")
    return None not in codes.values()
