"""The MQTT thread: connects, runs a session, waits, and connects again; the wait between two attempts is a wait for the stop.

``session.py`` is the traffic on one connection. ``losses.py`` and ``diagnosis.py`` find the reasons that a broker does not give.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from ferstream.errors import BrokerAuthError, BrokerError, FerstreamError
from ferstream.runtime.backoff import Backoff
from ferstream.runtime.observer import Observer
from ferstream.sinks.mqtt.address import BrokerAddress
from ferstream.sinks.mqtt.commands import CommandReceiver, OnCommand
from ferstream.sinks.mqtt.connection import MqttConnection
from ferstream.sinks.mqtt.diagnosis import Diagnosis
from ferstream.sinks.mqtt.losses import EndedConnection, LossHistory
from ferstream.sinks.mqtt.messages import last_will
from ferstream.sinks.mqtt.session import NAME, MqttFeed, MqttSession
from ferstream.sinks.mqtt.timings import MqttTimings
from ferstream.sinks.mqtt.topics import Topics

_LOG = logging.getLogger(__name__)

OnFatal = Callable[[str, BaseException], None]


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
        self._feed, self._timings, self._on_fatal = feed, timings, on_fatal
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
        self._losses = LossHistory(broker=address.label, client_id=address.client_id, calm_after_s=timings.calm_after_s)
        self._diagnosed: tuple[str, BrokerError] | None = None
        """The last failure of a connection as the broker gave it, and its cause."""
        self._thread = threading.Thread(target=self._run, name=NAME, daemon=True)

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
        self._feed.waker.set()
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
            self._on_fatal(NAME, exc)
        finally:
            self._connected = False

    def _connect_once(self) -> None:
        try:
            connection = MqttConnection(self._address, will=last_will(self._topics))
        except FerstreamError as exc:
            self._fail(exc)
            return
        try:
            connection.connect(is_cancelled=self._stop.is_set)
        except BrokerError as exc:
            self._losses.connect_failed()
            self._fail(self._cause(connection, exc))
        else:
            self._run_session(connection)
        finally:
            connection.close()
            self._feed.reader.give_back()
            # No heartbeat is due until the next session: the pause, or a name that does not resolve, may outlast any watchdog.
            self._observer.forget_stage(NAME)

    def _cause(self, connection: MqttConnection, error: BrokerError) -> BrokerError:
        """Return why there is no connection; before the first one ever, trial connections look for what the broker does not say."""
        if self._connects or self._stop.is_set():
            return error
        if self._diagnosed is None or self._diagnosed[0] != str(error):
            cause = Diagnosis(connection).cause(is_cancelled=self._stop.is_set)
            self._diagnosed = (str(error), cause or error)
        return self._diagnosed[1]

    def _run_session(self, connection: MqttConnection) -> None:
        session = MqttSession(
            connection,
            topics=self._topics,
            feed=self._feed,
            commands=self._commands,
            observer=self._observer,
            timings=self._timings,
            cautious=self._losses.suspicious,
        )
        began = time.monotonic()
        self._connects += 1
        self._connected, self._reason = True, ""
        _LOG.info("mqtt: connected to %s", self._address.label)
        self._observer.count("mqtt_connects")
        try:
            session.run(self._stop)
        except BrokerError as exc:
            end = EndedConnection(lasted_s=time.monotonic() - began, code=connection.loss_code, after=session.last_words())
            self._fail(self._losses.ended(end) or exc)
        finally:
            self._connected = False
            self._reset_backoff(time.monotonic() - began, delivered=session.delivered)

    def _reset_backoff(self, lasted_s: float, *, delivered: bool) -> None:
        """Make the next pause short again after a connection that did its work, unless another client ends our connections."""
        if self._losses.contested:
            return
        if delivered:
            self._backoff.reset()
        self._backoff.succeeded(lasted_s)

    def _fail(self, exc: FerstreamError) -> None:
        """Log why there is no connection, if it is new, and count it."""
        was_connected, reason = self._connected, str(exc)
        if was_connected or reason != self._reason:
            level = logging.ERROR if isinstance(exc, BrokerAuthError) else logging.WARNING
            _LOG.log(level, "mqtt: %s; %s", reason, "connecting again" if was_connected else "retrying")
        self._reason = reason
        self._observer.count("mqtt_disconnects" if was_connected else "mqtt_connect_failures")
