"""Compares two settings: what a running daemon has to change. Pure: nothing is started or stopped here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ferstream.settings.model import CameraSettings, Settings

LIVE_KEYS = frozenset({"log.level", "cameras"})
"""Keys that a running daemon applies; every other key needs a restart."""


@dataclass(frozen=True, slots=True)
class Changes:
    """The difference between two configurations.

    Attributes:
        added: Cameras to start.
        removed: Names of cameras to stop.
        changed: Cameras to stop and start again, with their new settings.
        live: Dotted keys other than cameras that a running daemon can apply.
        restart: Dotted keys that take effect after a restart only.
    """

    added: tuple[CameraSettings, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[CameraSettings, ...] = ()
    live: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.live or self.restart)


def diff(old: Settings, new: Settings) -> Changes:
    """Return what turns ``old`` into ``new``; the order of cameras makes no difference."""
    before = {camera.name: camera for camera in old.cameras}
    after = {camera.name: camera for camera in new.cameras}
    keys = [key for key, value in flat(new).items() if flat(old)[key] != value]
    return Changes(
        added=tuple(camera for name, camera in after.items() if name not in before),
        removed=tuple(name for name in before if name not in after),
        changed=tuple(camera for name, camera in after.items() if name in before and before[name] != camera),
        live=tuple(key for key in keys if key in LIVE_KEYS),
        restart=tuple(key for key in keys if key not in LIVE_KEYS),
    )


def flat(settings: Settings) -> dict[str, Any]:
    """Return every value by dotted key, without the cameras."""
    found: dict[str, Any] = {"node": settings.node}
    for table in type(settings).model_fields:
        section = getattr(settings, table)
        if table not in {"node", "cameras"}:
            found |= {f"{table}.{key}": getattr(section, key) for key in type(section).model_fields}
    return found
