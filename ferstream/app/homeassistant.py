"""Announces the node and its cameras to Home Assistant, and the node's state. Main thread only, except where noted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import structlog

from ferstream import __version__
from ferstream.app.privacy import privacy_rules
from ferstream.events.node import NodeState, encode_node
from ferstream.events.schemas import NODE, STATE, SUMMARY, TRACK
from ferstream.homeassistant.devices import CameraDevice, DiscoveryOptions, NodeDevice
from ferstream.homeassistant.discovery import ONLINE, discovery_messages
from ferstream.homeassistant.ids import device_id
from ferstream.homeassistant.published import PublishedTopics, file_of
from ferstream.runtime.clock import Clock
from ferstream.settings import CameraSettings, Settings, state_directory
from ferstream.sinks.mqtt.retained_messages import OnRemoved
from ferstream.sinks.mqtt.timings import MqttTimings
from ferstream.sinks.mqtt.topics import Topics

EMBEDDED_BROKER = (
    "the embedded broker is for this machine and has a new password at each start, so Home Assistant cannot read it",
    "set mqtt.url to the broker that Home Assistant uses",
)
"""What is wrong with discovery on the embedded broker, and what to do."""

_LOG = structlog.get_logger(__name__)


class Announcer(Protocol):
    """Publishes retained messages; see ``MqttSink``."""

    def announce(self, topic: str, payload: bytes) -> None:
        """Publish a retained message now and on every connection."""
        ...

    def set_value(self, topic: str, schema: str, payload: bytes) -> None:
        """Publish the latest value of a topic, retained."""
        ...

    def remove(self, topic: str, on_removed: OnRemoved | None = None) -> None:
        """Remove what the broker keeps on a topic."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveryTimings:
    """Intervals in seconds.

    Attributes:
        tick_s: Interval at which ``HomeAssistant.tick`` is called.
        republish_s: Shortest time between two publications after a start of Home Assistant.
        node_s: Interval of the node's state.
    """

    tick_s: float = 1.0
    republish_s: float = 5.0
    node_s: float = 30.0


class Births:
    """Notes that Home Assistant has started. The MQTT thread notes, the main thread asks."""

    def __init__(self) -> None:
        """Start with none noted."""
        self._noted = threading.Event()

    def put(self, payload: bytes) -> None:
        """Take a message of Home Assistant about itself; any thread."""
        if payload.strip() == ONLINE:
            self._noted.set()

    @property
    def noted(self) -> bool:
        """Whether there was a start that was not taken."""
        return self._noted.is_set()

    def take(self) -> None:
        """Forget the starts so far."""
        self._noted.clear()


class HomeAssistant:
    """Keeps the discovery messages at the broker equal to the settings."""

    def __init__(
        self,
        announcer: Announcer,
        settings: Settings,
        *,
        published: PublishedTopics,
        births: Births,
        node_state: Callable[[], NodeState],
        clock: Clock,
        timings: DiscoveryTimings | None = None,
    ) -> None:
        """Prepare; ``apply`` publishes.

        Args:
            announcer: The MQTT sink.
            settings: The settings at the start; all but the cameras stay in force until a restart.
            published: Where discovery messages may be, from this run and earlier ones.
            births: Says when Home Assistant has started.
            node_state: Reads the state of the node.
            clock: Monotonic time.
            timings: Intervals.
        """
        self._announcer, self._settings, self._published, self._births = announcer, settings, published, births
        self._node_state, self._clock, self.timings = node_state, clock, timings or DiscoveryTimings()
        if settings.homeassistant.discovery and settings.mqtt.embedded:
            _LOG.warning(EMBEDDED_BROKER[0], key="homeassistant.discovery", advice=EMBEDDED_BROKER[1])
        self._messages: dict[str, bytes] = {}
        self._values_topic = _topics(settings).node if settings.homeassistant.discovery else None
        self._published_ns = self._node_ns = -(10**18)

    def apply(self, cameras: tuple[CameraSettings, ...]) -> None:
        """Publish the messages for these cameras, and remove all others, of earlier runs too."""
        wanted = messages_of(self._settings.model_copy(update={"cameras": cameras}), node_s=self.timings.node_s)
        topics = wanted.keys() if self._values_topic is None else {self._values_topic, *wanted}
        stale = self._published.topics - topics
        self._published.add(topics)
        self._published.save()  # before they are published, so that a later run knows of them
        for topic in sorted(stale, key=lambda topic: (not topic.endswith("/config"), topic)):  # entities go before their values
            self._announcer.remove(topic, self._published.discard)
        for topic, payload in wanted.items():
            if self._messages.get(topic) != payload:
                self._announcer.announce(topic, payload)
        self._published.add(topics)  # again: an old removal of a topic may have been acknowledged meanwhile
        self._messages = wanted
        self._published_ns = self._clock.monotonic_ns()

    def tick(self) -> None:
        """Publish the messages again if Home Assistant has started, and the state of the node if it is time."""
        now_ns = self._clock.monotonic_ns()
        if self._births.noted and now_ns - self._published_ns >= self.timings.republish_s * 1e9:
            self._births.take()
            self._published_ns = now_ns
            for topic, payload in self._messages.items():
                self._announcer.announce(topic, payload)
        if self._values_topic is not None and now_ns - self._node_ns >= self.timings.node_s * 1e9:
            self._node_ns = now_ns
            self._announcer.set_value(self._values_topic, NODE, encode_node(self._node_state()))
        self._published.save()


def published_topics(settings: Settings, *, durable: bool) -> PublishedTopics:
    """Return what may be published for this node.

    Args:
        settings: The settings.
        durable: Whether it is remembered over restarts.
    """
    return PublishedTopics(file_of(state_directory(), prefix=settings.mqtt.prefix, node=settings.node) if durable else None)


def messages_of(settings: Settings, *, node_s: float) -> dict[str, bytes]:
    """Return the discovery messages of the settings by topic; none unless ``homeassistant.discovery`` is set.

    Args:
        settings: The settings.
        node_s: Interval of the node's state in seconds.
    """
    if not settings.homeassistant.discovery:
        return {}
    topics = _topics(settings)
    node = NodeDevice(
        id=device_id(settings.mqtt.prefix, settings.node),
        name=settings.node,
        version=__version__,
        availability=topics.availability,
        values=topics.node,
        page=_page(settings),
    )
    options = DiscoveryOptions(
        prefix=settings.homeassistant.prefix,
        per_entity=settings.homeassistant.per_entity,
        single_faces=privacy_rules(settings).allows_schema(TRACK),
        summary_interval_s=settings.publishing.summary_interval_s,
        state_expiry_s=MqttTimings().state_expiry_s,
        node_interval_s=node_s,
    )
    return discovery_messages(node, [_camera(settings, topics, camera.name) for camera in settings.cameras], options)


def _topics(settings: Settings) -> Topics:
    return Topics(prefix=settings.mqtt.prefix, node=settings.node)


def _camera(settings: Settings, topics: Topics, name: str) -> CameraDevice:
    return CameraDevice(
        id=device_id(settings.mqtt.prefix, settings.node, name),
        name=name,
        state=topics.of(name, STATE),
        summary=topics.of(name, SUMMARY),
        track=topics.of(name, TRACK),
        command=topics.command(name) if settings.mqtt.commands else None,
    )


def _page(settings: Settings) -> str | None:
    """Return the URL of the web page, if it listens on one address that other machines can reach."""
    http = settings.http
    if not http.enabled or http.loopback or not http.port or http.host in {"0.0.0.0", "::", ""}:  # noqa: S104 (compared, not bound)
        return None
    host = f"[{http.host}]" if ":" in http.host else http.host
    return f"http://{host}:{http.port}"
