"""The names of all MQTT topics: ``<prefix>/<node>/<camera>/<kind>``."""

from __future__ import annotations

from ferstream.errors import ConfigError
from ferstream.events.names import bad_topic_characters
from ferstream.events.schemas import KINDS

MAX_PREFIX_BYTES = 256


class Topics:
    """All topics of one node."""

    def __init__(self, *, prefix: str, node: str) -> None:
        """Check the names.

        Raises:
            ConfigError: ``prefix`` or ``node`` cannot be part of a topic.
        """
        _check_prefix(prefix)
        _check_level("node", node)
        self._root = f"{prefix}/{node}"
        self._events: dict[tuple[str, str], str] = {}

    @property
    def everything(self) -> str:
        """Filter that matches every topic of the node."""
        return f"{self._root}/#"

    @property
    def availability(self) -> str:
        """Topic of ``online``, ``offline`` (the Last Will) or ``stopped``, retained."""
        return f"{self._root}/availability"

    @property
    def node(self) -> str:
        """Topic of the node's own values, retained."""
        return f"{self._root}/node"

    @property
    def probe(self) -> str:
        """Topic to which ``ferstream check`` publishes a message that it reads back."""
        return f"{self._root}/check"

    @property
    def commands(self) -> str:
        """Filter of the command topics of all cameras."""
        return f"{self._root}/+/set"

    def command(self, camera: str) -> str:
        """Return the command topic of a camera."""
        return f"{self._root}/{camera}/set"

    def command_camera(self, topic: str) -> str | None:
        """Return the camera that a command topic is for; None for any other topic."""
        parts = topic.removeprefix(self._root + "/").split("/")
        return parts[0] if topic.startswith(self._root + "/") and len(parts) == 2 and parts[1] == "set" else None

    def of(self, camera: str, schema: str) -> str:
        """Return the topic of a camera's messages of one schema; the same string object each time."""
        key = (camera, schema)
        if key not in self._events:
            self._events[key] = f"{self._root}/{camera}/{KINDS[schema]}"
        return self._events[key]


def _check_prefix(prefix: str) -> None:
    if len(prefix.encode()) > MAX_PREFIX_BYTES:
        raise ConfigError(f"mqtt.prefix is longer than {MAX_PREFIX_BYTES} bytes")
    if prefix.startswith("$"):
        raise ConfigError(f"mqtt.prefix {prefix!r}: topics that begin with $ belong to the broker")
    for level in prefix.split("/"):
        _check_level("mqtt.prefix", level)


def _check_level(key: str, level: str) -> None:
    if not level:
        raise ConfigError(f"{key} must not be empty nor have an empty level (no / at its start or end, no //)")
    bad = bad_topic_characters(level)
    if bad:
        raise ConfigError(f"{key} {level!r} holds {' '.join(map(repr, bad))}, which a topic level cannot have")
