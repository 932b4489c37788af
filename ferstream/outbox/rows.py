"""Rows of the outbox's file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StoredHead:
    """A stored event without its payload."""

    row: int
    camera: str
    schema: str
    boot_id: str
    seq: int
    crc: int
    size: int
    readers: str


@dataclass(frozen=True, slots=True)
class Row:
    """An event to store; ``readers`` are the names of the sinks that still need it, separated by commas."""

    row: int
    camera: str
    schema: str
    boot_id: str
    seq: int
    crc: int
    payload: bytes
    readers: str = "mqtt"
