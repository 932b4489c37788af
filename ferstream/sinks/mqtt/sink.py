"""The MQTT sink: events from the outbox, states and summaries as retained messages, to one broker."""

from __future__ import annotations

import logging
from collections.abc import Callable

from ferstream.domain.message import Message
from ferstream.domain.ports import SinkStatus
from ferstream.events.schemas import FACE, TRACK
from ferstream.outbox.outbox import Outbox
from ferstream.outbox.reader import OutboxReader
from ferstream.runtime.backoff import Backoff
from ferstream.runtime.observer import Observer
from ferstream.runtime.waker import Waker
from ferstream.sinks.mqtt.address import BrokerAddress, tls_context
from ferstream.sinks.mqtt.commands import OnCommand
from ferstream.sinks.mqtt.packets import Outgoing
from ferstream.sinks.mqtt.publisher import MqttPublisher, OnFatal
from ferstream.sinks.mqtt.receiver import TopicListener
from ferstream.sinks.mqtt.retained_messages import RETAINED, OnRemoved, RetainedMessages
from ferstream.sinks.mqtt.session import MqttFeed
from ferstream.sinks.mqtt.timings import MqttTimings
from ferstream.sinks.mqtt.topics import Topics

STOP_TIMEOUT_S = 7.0
"""Longer than a connection attempt takes."""

_LOG = logging.getLogger(__name__)


class MqttSink:
    """Publishes to one broker what its outbox reader hands out, and the retained messages; see ``Sink``."""

    name = "mqtt"

    def __init__(
        self,
        *,
        address: BrokerAddress,
        topics: Topics,
        outbox: Outbox,
        observer: Observer,
        timings: MqttTimings | None = None,
        backoff: Backoff | None = None,
        on_command: OnCommand | None = None,
        on_fatal: OnFatal | None = None,
    ) -> None:
        """Prepare; ``open`` starts to connect.

        Args:
            address: The broker.
            topics: Topics of this node.
            outbox: Holds the events; it is opened and closed by its owner.
            observer: Counts connections and messages.
            timings: Window and pauses.
            backoff: Pauses between connections; by default as the timings say.
            on_command: Turns the command topics on; called by the MQTT thread with (camera, payload).
            on_fatal: Called with the thread's name and the error should the MQTT thread die.
        """
        self._address, self._outbox = address, outbox
        self._waker = Waker()
        self._retained = RetainedMessages(topics)
        self._reader = outbox.reader(self.name, schemas=(FACE, TRACK), on_ready=self._waker.set)
        self._feed = MqttFeed(self._reader, self._retained, self._waker)
        self._publisher = MqttPublisher(
            address=address,
            topics=topics,
            feed=self._feed,
            observer=observer,
            timings=timings or MqttTimings(),
            backoff=backoff,
            on_command=on_command,
            on_fatal=on_fatal,
        )
        self._closed = False

    @property
    def reader(self) -> OutboxReader:
        """Its reader of the outbox."""
        return self._reader

    @property
    def publisher(self) -> MqttPublisher:
        """Its connection: ``connected``, ``reason``, ``connects``, ``thread``."""
        return self._publisher

    def status(self) -> SinkStatus:
        """Return whether the broker accepts events now, and why not."""
        return SinkStatus(self.name, self._publisher.connected, self._publisher.reason)

    def check(self) -> None:
        """Read the certificates.

        Raises:
            ConfigError: A certificate cannot be used.
        """
        if self._address.encrypted:
            tls_context(self._address)

    def open(self) -> None:
        """Start to connect; does not wait for the broker.

        Raises:
            ConfigError: A certificate cannot be used.
        """
        self.check()
        self._publisher.start()

    def write(self, message: Message) -> None:
        """Take a state or summary as the latest value of its topic; other messages come through the outbox."""
        if message.schema in RETAINED:
            self._retained.set(message)
            self._waker.set()

    def forget_camera(self, camera: str) -> None:
        """Remove the retained messages of a camera that was taken out of the configuration.

        What the pipeline still holds of it does not bring them back: its states and summaries are ignored until ``remember_camera``.
        """
        self._retained.forget(camera)
        self._waker.set()

    def remember_camera(self, camera: str) -> None:
        """Accept the states of a camera again; called before the camera is started."""
        self._retained.remember(camera)

    def listen(self, topic: str, on_message: Callable[[bytes], None], *, if_refused: str) -> None:
        """Read a topic of another program on every connection; called before ``open``.

        Args:
            topic: The topic, without wildcards.
            on_message: Takes the payload of each message that is not retained; called by the MQTT thread.
            if_refused: What does not work if the broker refuses the subscription, for the log.
        """
        self._feed.listeners.append(TopicListener(topic=topic, broker=self._address.label, if_refused=if_refused, on_message=on_message))

    def announce(self, topic: str, payload: bytes) -> None:
        """Publish a retained message now and on every connection; any thread."""
        self._retained.announce(Outgoing(topic=topic, payload=payload, retain=True))
        self._waker.set()

    def set_value(self, topic: str, schema: str, payload: bytes) -> None:
        """Publish the latest value of a topic that is no camera's, retained; any thread."""
        self._retained.set_value(Outgoing(topic=topic, payload=payload, retain=True, user={"schema": schema}))
        self._waker.set()

    def remove(self, topic: str, on_removed: OnRemoved | None = None) -> None:
        """Remove what the broker keeps on a topic; any thread.

        Args:
            topic: The topic.
            on_removed: Takes the topic when the broker has acknowledged that; called by the MQTT thread.
        """
        self._retained.remove(topic, on_removed)
        self._waker.set()

    def flush(self, timeout_s: float) -> int:
        """Wait until every event is delivered; not for a broker that is not connected, if the outbox keeps the events on disk.

        Always 0: what is not delivered is still in the outbox.
        """
        if self._publisher.connected or not self._outbox.durable:
            self._reader.wait_empty(timeout_s)
        return 0

    def close(self) -> None:
        """Publish ``stopped`` and end the thread; more than one call is allowed."""
        if self._closed:
            return
        self._closed = True
        if not self._publisher.stop(STOP_TIMEOUT_S):
            _LOG.error("mqtt: the thread did not end within %g s", STOP_TIMEOUT_S)
        if not self._publisher.thread.is_alive():
            self._waker.close()
