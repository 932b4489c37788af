"""Which events of an earlier process may be sent; the outbox's thread asks for each row that the file held."""

from __future__ import annotations

from ferstream.events.names import is_topic_level
from ferstream.events.privacy import PrivacyRules
from ferstream.events.schemas import SCHEMAS
from ferstream.outbox.entry import Entry

CORRUPT, PRIVACY = "corrupt", "privacy"
MAX_NAME_CHARS = 256


def damaged(entry: Entry) -> str | None:
    """Return ``corrupt`` if the head of the row cannot be a topic and user properties, else None."""
    names = entry.camera, entry.schema, entry.boot_id  # SQLite keeps any type in any column
    if not all(isinstance(name, str) and 0 < len(name) <= MAX_NAME_CHARS and name.isprintable() for name in names):
        return CORRUPT
    numbers = entry.seq, entry.crc, entry.size
    valid = all(isinstance(number, int) for number in numbers) and is_topic_level(entry.camera) and entry.schema in SCHEMAS
    return None if valid else CORRUPT


def unwanted(entry: Entry, privacy: PrivacyRules, *, stored_group: int) -> str | None:
    """Return why an event must not be sent, ``corrupt`` or ``privacy``; None if it may.

    Args:
        entry: The event, as the file has it.
        privacy: What may be published now.
        stored_group: Fewest faces that a summary in the file is about; 0 = no limit.
    """
    return damaged(entry) or (None if privacy.allows_stored(entry.schema, stored_group=stored_group) else PRIVACY)
