"""Which names can be part of an MQTT topic."""

from __future__ import annotations


def is_topic_level(name: str) -> bool:
    """Whether the name can be one level of a topic."""
    return bool(name) and not bad_topic_characters(name)


def bad_topic_characters(level: str) -> list[str]:
    """Return the characters that a topic level must not hold, sorted, each once."""
    return sorted({char for char in level if char in "+#/" or not char.isprintable()})
