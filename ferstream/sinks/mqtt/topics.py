"""The names of all MQTT topics: ``<prefix>/<node>/<camera>/<kind>``."""

from __future__ import annotations

from ferstream.errors import ConfigError
from ferstream.events.payload import FACE, STATE, SUMMARY, TRACK

KINDS: dict[str, str] = {FACE: "face", TRACK: "track", SUMMARY: "summary", STATE: "state"}
"""Last level of the topic of each schema."""

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
        """``online``, ``offline`` (the Last Will) or ``stopped``, retained."""
        return f"{self._root}/availability"

    @property
    def probe(self) -> str:
        """Where ``ferstream check`` publishes and reads back."""
        return f"{self._root}/check"

    @property
    def commands(self) -> str:
        """Filter of the command topics of all cameras."""
        return f"{self._root}/+/set"

    def command_camera(self, topic: str) -> str | None:
        """The camera a command topic is for; None when it is no command topic of this node."""
        parts = topic.removeprefix(self._root + "/").split("/")
        return parts[0] if topic.startswith(self._root + "/") and len(parts) == 2 and parts[1] == "set" else None

    def of(self, camera: str, schema: str) -> str:
        """Topic of a camera's messages of one schema; the same string object each time."""
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


def is_level(name: str) -> bool:
    """Whether it can be one level of a topic."""
    return bool(name) and not _bad_characters(name)


def _bad_characters(level: str) -> list[str]:
    return sorted({char for char in level if char in "+#/" or not char.isprintable()})


def _check_level(key: str, level: str) -> None:
    if not level:
        raise ConfigError(f"{key} must not be empty nor have an empty level (no / at its start or end, no //)")
    bad = _bad_characters(level)
    if bad:
        raise ConfigError(f"{key} {level!r} holds {' '.join(map(repr, bad))}, which a topic level cannot have")
