"""The MQTT thread: connects, keeps the window full, hears acknowledgements, connects again.

One function is one connection (``_session``), another is the retry (``_run``); the wait between two attempts
is the wait for a stop. At most ``window`` messages are unacknowledged; when a connection ends they
go back to the outbox and are sent again, in order, by the next one. What the broker refuses is
``refusals.py``'s. Camera states and summaries are
retained latest values: they are published on every connect, and when they change.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from ferstream.errors import BrokerAuthError, BrokerError, FerstreamError
from ferstream.outbox.fair_queue import Item
from ferstream.outbox.outbox import Outbox
from ferstream.runtime.backoff import Backoff
from ferstream.runtime.observer import Observer
from ferstream.runtime.waker import Wake
from ferstream.sinks.mqtt.address import BrokerAddress
from ferstream.sinks.mqtt.connection import MqttConnection
from ferstream.sinks.mqtt.packets import FAILURE, Answer, Incoming, Outgoing, Will
from ferstream.sinks.mqtt.retained_messages import Board
from ferstream.sinks.mqtt.retry_queue import Refusals
from ferstream.sinks.mqtt.topics import Topics

ONLINE, OFFLINE, STOPPED = b"online", b"offline", b"stopped"
WINDOW = 64
MESSAGE_EXPIRY_S = 3600
WILL_DELAY_S = 5
ACK_TIMEOUT_S = 30.0
"""A broker that answers pings but acknowledges nothing for so long is left."""
HEADER_BYTES = 512
"""Topic and properties of an event, generously."""
STEP_S = 0.5
GOODBYE_S = 2.0
_NAME = "mqtt"

_LOG = logging.getLogger(__name__)


class Link:
    """Keeps one broker supplied from one outbox."""

    def __init__(
        self,
        *,
        address: BrokerAddress,
        topics: Topics,
        outbox: Outbox,
        board: Board,
        wake: Wake,
        observer: Observer,
        backoff: Backoff | None = None,
        window: int = WINDOW,
        on_command: Callable[[str, bytes], None] | None = None,
        on_fatal: Callable[[str, BaseException], None] | None = None,
    ) -> None:
        self._address, self._topics = address, topics
        self._outbox, self._board, self._wake, self._observer = outbox, board, wake, observer
        self._backoff = backoff or Backoff(floor_s=0.5, cap_s=30.0, healthy_after_s=10.0)
        self._window_wish = window
        self._on_command, self._on_fatal = on_command, on_fatal
        self._stop = threading.Event()
        self._connected = False
        self._reason = "not connected yet"
        self._connects = 0
        self._commands: int | None = None
        self._refusals = Refusals(outbox=outbox, observer=observer, where=address.label)
        self._flight: dict[int, Item | Outgoing] = {}  # Outgoing: no event, but availability or a retained value
        self._retained: deque[Outgoing] = deque()
        self._thread = threading.Thread(target=self._run, name=_NAME, daemon=True)

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted us, and the connection stands."""
        return self._connected

    @property
    def reason(self) -> str:
        """Why it is not connected, in words; empty when it is."""
        return self._reason

    @property
    def connects(self) -> int:
        """Connections that came about."""
        return self._connects

    @property
    def thread(self) -> threading.Thread:
        """The MQTT thread."""
        return self._thread

    def start(self) -> None:
        """Start the thread; once."""
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Say goodbye to the broker and end the thread; True if it ended in time."""
        self._stop.set()
        self._wake.set()
        if self._thread.ident is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    # -- the MQTT thread -----------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._attempt()
                if self._backoff.wait(self._stop):
                    return
        except BaseException as exc:  # a thread must not die unnoticed
            self._reason = f"internal error: {type(exc).__name__}"
            if self._on_fatal is None:
                raise
            self._on_fatal(_NAME, exc)
        finally:
            self._connected = False

    def _attempt(self) -> None:
        connection, began = None, time.monotonic()
        try:
            connection = MqttConnection(self._address, will=Will(topic=self._topics.availability, payload=OFFLINE, delay_s=WILL_DELAY_S))
            connection.connect(given_up=self._stop.is_set)
            began = time.monotonic()
            self._session(connection)
        except FerstreamError as exc:
            self._failed(exc)
        finally:
            if self._connected:
                self._connected = False
                self._backoff.succeeded(time.monotonic() - began)
            if connection is not None:
                connection.close()
            self._flight.clear()
            self._retained.clear()
            self._refusals.clear()
            self._outbox.give_back()
            # No beat is owed until the next session: the pause, or a name that does not resolve, may outlast any watchdog.
            self._observer.forget_stage(_NAME)

    def _failed(self, exc: FerstreamError) -> None:
        was_connected, reason = self._connected, str(exc)
        if was_connected or reason != self._reason:
            again = "" if was_connected else "; trying on"
            _LOG.log(logging.ERROR if isinstance(exc, BrokerAuthError) else logging.WARNING, "mqtt: %s%s", reason, again)
        self._reason = reason
        self._observer.count("mqtt_disconnects" if was_connected else "mqtt_connect_failures")

    def _session(self, connection: MqttConnection) -> None:
        self._greet(connection)
        window = min(self._window_wish, connection.receive_maximum)
        heard_at = time.monotonic()
        while not self._stop.is_set():
            self._observer.beat(_NAME)
            self._wake.clear()
            self._retained.extend(self._board.changed())
            self._send_retained(connection, window)
            self._fill(connection, window)
            answers, incoming = connection.step(STEP_S, self._wake.fileno())
            if self._settle(answers) or not self._flight:
                heard_at = time.monotonic()
            elif time.monotonic() - heard_at > ACK_TIMEOUT_S:
                raise BrokerError(f"{self._address.label}: nothing acknowledged for {ACK_TIMEOUT_S:g} s")
            self._obey(connection, incoming)
        self._goodbye(connection)

    def _greet(self, connection: MqttConnection) -> None:
        self._connects += 1
        self._connected, self._reason = True, ""
        _LOG.info("mqtt: connected to %s", self._address.label)
        self._observer.count("mqtt_connects")
        self._retained.append(self._availability(ONLINE))
        self._retained.extend(self._board.everything())
        if self._on_command is not None:
            self._commands = connection.subscribe(self._topics.commands)

    def _fill(self, connection: MqttConnection, window: int) -> None:
        items = self._refusals.due(window - len(self._flight))
        room = window - len(self._flight) - len(self._refusals) - len(items)
        if room > 0:
            items += [item for item in self._outbox.take(room) if self._fits(item, connection.maximum_packet_bytes)]
        if not items:
            return
        resent = sum(item.sent for item in items)
        if resent:
            self._observer.count("mqtt_publish", "resent", resent)
        for item in items:
            item.sent = True
        mids = connection.publish_all([self._outgoing(item) for item in items])
        self._flight.update(zip(mids, items, strict=True))

    def _fits(self, item: Item, maximum_bytes: int | None) -> bool:
        if maximum_bytes is None or item.size + HEADER_BYTES <= maximum_bytes:
            return True
        self._outbox.reject(item, "rejected")
        self._observer.count("mqtt_publish", "rejected")
        return False

    def _outgoing(self, item: Item) -> Outgoing:
        return Outgoing(
            topic=self._topics.of(item.camera, item.schema),
            payload=item.payload or b"",
            expiry_s=MESSAGE_EXPIRY_S,
            user={"schema": item.schema, "seq": str(item.seq), "boot_id": item.boot_id},
        )

    def _availability(self, word: bytes) -> Outgoing:
        return Outgoing(topic=self._topics.availability, payload=word, retain=True, content_type="text/plain")

    def _send_retained(self, connection: MqttConnection, window: int) -> None:
        """Send waiting retained values; those with QoS 1 count in the broker's window like events do."""
        while self._retained and len(self._flight) < window:
            message = self._retained.popleft()
            mid = connection.publish(message)
            if message.qos:
                self._flight[mid] = message

    def _settle(self, answers: Sequence[Answer]) -> bool:
        """Book the broker's answers; True if there was one."""
        done: list[Item] = []
        for answer in answers:
            sent = self._flight.pop(answer.mid, None)
            if isinstance(sent, Outgoing):
                self._told(sent, answer)
            elif sent is not None and answer.ok:
                done.append(sent)
            elif sent is not None:
                self._refusals.add(sent, answer.code, self._topics.of(sent.camera, sent.schema))
        if done:
            self._outbox.acknowledge(done)
            self._observer.count("mqtt_publish", "acknowledged", len(done))
        return bool(answers)

    def _told(self, message: Outgoing, answer: Answer) -> None:
        if answer.ok:
            self._board.acknowledged(message)
        else:
            self._refusals.tell(message.topic, answer.code, "told again on the next connection")

    def _obey(self, connection: MqttConnection, incoming: Sequence[Incoming]) -> None:
        if self._commands is not None and (granted := connection.subscribed(self._commands)) is not None:
            self._commands = None
            if granted >= FAILURE:
                _LOG.error("mqtt: %s does not let this user read %s", self._address.label, self._topics.commands)
        for message in incoming:
            camera = self._topics.command_camera(message.topic)
            if camera is None or self._on_command is None:
                continue
            try:
                self._on_command(camera, message.payload)
            except Exception:
                _LOG.exception("mqtt: a command for camera %s failed", camera)

    def _goodbye(self, connection: MqttConnection) -> None:
        deadline = time.monotonic() + GOODBYE_S
        self._retained.extend(self._board.changed())
        self._send_retained(connection, connection.receive_maximum)
        last = connection.publish(self._availability(STOPPED))
        heard: set[int] = set()
        while last not in heard and (left := deadline - time.monotonic()) > 0:
            answers, _ = connection.step(left)
            heard.update(answer.mid for answer in answers)
            self._settle(answers)
        connection.disconnect()
