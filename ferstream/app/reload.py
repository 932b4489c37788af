"""Applies changed settings to a running daemon. Main thread only."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from ferstream.app.running import Running
from ferstream.errors import ConfigError
from ferstream.logs import set_level
from ferstream.settings import Settings, diff

_LOG = structlog.get_logger(__name__)


def reload_settings(running: Running, read: Callable[[], Settings]) -> None:
    """Read the settings again and apply them; settings that are not valid change nothing."""
    try:
        new = read()
    except ConfigError as exc:
        _LOG.error("the new settings are not valid; the old ones stay in force", reason=str(exc))
    else:
        apply_settings(running, new)


def apply_settings(running: Running, new: Settings) -> None:
    """Change cameras and log level; name the keys that take effect after a restart only."""
    changes = diff(running.settings, new)
    for camera in changes.added:
        running.remember_camera(camera.name)  # before its first state: states of a forgotten camera are not retained
    running.cameras.apply(changes)
    if running.home_assistant is not None:  # before the values of a removed camera go: Home Assistant reads them
        running.home_assistant.apply(new.cameras)
    for name in changes.removed:
        running.forget_camera(name)
    if running.page is not None and (changes.added or changes.removed):
        running.page.cameras_changed(running.cameras.names)
    if "log.level" in changes.live:
        set_level(new.log.level)
    if changes.restart:
        _LOG.warning("these settings need a restart", keys=", ".join(changes.restart))
    running.settings = new
    _LOG.info(
        "settings reloaded",
        added=[camera.name for camera in changes.added],
        removed=list(changes.removed),
        changed=[camera.name for camera in changes.changed],
    )
