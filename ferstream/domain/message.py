"""An event in the form in which it leaves the process."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Message:
    """An encoded event.

    Attributes:
        schema: Schema id, for example ``ferstream.face/1``.
        camera: Name of the camera.
        boot_id: The run of the daemon in which the event was made.
        seq: Number of the message within (boot_id, camera, schema), from 0.
        payload: Compact UTF-8 JSON.
    """

    schema: str
    camera: str
    boot_id: str
    seq: int
    payload: bytes
