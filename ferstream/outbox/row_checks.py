"""Which events of an earlier run may be sent: called by the outbox's thread for each row that a file held."""

from __future__ import annotations

from ferstream.events.payload import FACE, TRACK
from ferstream.outbox.fair_queue import Item
from ferstream.sinks.mqtt.topics import KINDS, is_level

CORRUPT, PRIVACY = "corrupt", "privacy"
MAX_NAME_CHARS = 256


def damaged(item: Item) -> str | None:
    """Why this row is not sent: its head cannot be turned into a topic and user properties; None if it can."""
    names = item.camera, item.schema, item.boot_id  # SQLite keeps any type in any column
    if not all(isinstance(name, str) and 0 < len(name) <= MAX_NAME_CHARS and name.isprintable() for name in names):
        return CORRUPT
    numbers = item.seq, item.crc, item.size
    sound = all(isinstance(number, int) for number in numbers) and is_level(item.camera) and item.schema in KINDS
    return None if sound else CORRUPT


def damaged_or_of_one_face(item: Item) -> str | None:
    """As ``damaged``, and nothing about single faces leaves either."""
    return damaged(item) or (PRIVACY if item.schema in (FACE, TRACK) else None)
