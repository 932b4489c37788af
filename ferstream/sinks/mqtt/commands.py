"""Commands to the cameras of one node: the topic ``<prefix>/<node>/<camera>/set``. Called by the MQTT thread."""

from __future__ import annotations

import logging
from collections.abc import Callable

from ferstream.runtime.observer import Observer
from ferstream.sinks.mqtt.connection import MqttConnection
from ferstream.sinks.mqtt.packets import Incoming
from ferstream.sinks.mqtt.receiver import Receiver
from ferstream.sinks.mqtt.topics import Topics

OnCommand = Callable[[str, bytes], None]
KNOWN_COMMANDS = (b"ON", b"OFF")
"""Commands to a camera; in any case, with or without blanks around."""
MAX_LOGGED_TOPICS = 1000
"""Topics that are remembered so that each is logged once."""

_LOG = logging.getLogger(__name__)


class CommandReceiver(Receiver):
    """Subscribes to the command topics and hands each command on.

    Retained commands are ignored: the broker repeats them on every connection, long after they were meant.
    """

    def __init__(self, *, topics: Topics, broker: str, observer: Observer, on_command: OnCommand | None) -> None:
        """Prepare; ``subscribe`` turns the commands on.

        Args:
            topics: Topics of the node.
            broker: Address of the broker, for the log.
            observer: Counts commands that fail.
            on_command: Takes (camera, payload); None subscribes to nothing.
        """
        super().__init__(topic=topics.commands, broker=broker, if_refused="commands do not work")
        self._topics, self._observer, self._on_command = topics, observer, on_command
        self._logged: set[str] = set()

    def subscribe(self, connection: MqttConnection) -> None:
        """Subscribe on a new connection, if commands are wanted.

        Raises:
            BrokerError: The connection is lost.
        """
        if self._on_command is not None:
            super().subscribe(connection)

    def receive(self, message: Incoming) -> None:
        """Hand on a command."""
        camera = self._topics.command_camera(message.topic)
        if camera is None or self._on_command is None:
            return
        if message.retain:
            self._log_retained(message.topic)
        else:
            _LOG.info("mqtt: a command came on %s: %s", message.topic, _shown(message.payload))
            self._run(self._on_command, camera, message.payload)

    def _log_retained(self, topic: str) -> None:
        if topic not in self._logged and len(self._logged) < MAX_LOGGED_TOPICS:
            self._logged.add(topic)
            _LOG.warning("mqtt: a retained command on %s is ignored; send commands without retain, and clear that topic", topic)

    def _run(self, on_command: OnCommand, camera: str, payload: bytes) -> None:
        try:
            on_command(camera, payload)
        except Exception:  # noqa: BLE001 (a command must not end the connection; it is counted)
            self._observer.count("command_errors", camera)
            _LOG.exception("mqtt: a command for camera %s failed", camera)


def _shown(payload: bytes) -> str:
    """Return a command for the log, or its length if it is no known command."""
    text = payload.strip().upper()
    return text.decode() if text in KNOWN_COMMANDS else f"{len(payload)} bytes, neither ON nor OFF"
