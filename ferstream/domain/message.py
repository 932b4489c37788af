"""An encoded event, as sinks take it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Message:
    """An encoded event.

    Attributes:
        schema: Schema id, for example ``ferstream.face/1``.
        camera: Name of the camera.
        boot_id: Id of the run of the daemon that made the event.
        seq: Number of the message among those with the same boot_id, camera and schema, from 0.
        payload: Compact UTF-8 JSON.
    """

    schema: str
    camera: str
    boot_id: str
    seq: int
    payload: bytes
