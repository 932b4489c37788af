"""Checks that the options of several calls have in common."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ferstream.errors import ConfigError
from ferstream.settings import Settings, load_settings

OPTION = "camera ="
"""How messages name the option that chooses a camera."""
Config = str | os.PathLike[str] | None
MadeBy = tuple[Config, str | None]
"""Settings file, and name of a camera in it."""


def refuse_aggregate_only(settings: Settings, where: str, what: str) -> None:
    """Refuse results of single faces.

    Args:
        settings: The settings.
        where: Their file, for the message.
        what: What has such results, with its verb.

    Raises:
        ConfigError: ``privacy.aggregate_only`` is set.
    """
    if settings.privacy.aggregate_only:
        raise ConfigError(f"privacy.aggregate_only is set ({where}), and {what} results of single faces; use other settings")


def read_settings(config: str | os.PathLike[str], flags: Mapping[str, object] | None = None) -> Settings:
    """Return the settings of a file and of the ``FERSTREAM_`` variables, with further values by dotted key.

    Raises:
        ConfigError: With every problem found, one per line.
    """
    return load_settings(Path(config), flags=flags)


def number(name: str, value: object, least: float, most: float) -> float:
    """Return the value of an option.

    Args:
        name: Name of the option, for the message.
        value: What was given.
        least: Least value.
        most: Largest value.

    Raises:
        ConfigError: It is not a number from ``least`` to ``most``.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise ConfigError(f"{name} = {value!r}: expected a number from {least:g} to {most:g}")
    return value


def check_camera_has_config(made_by: MadeBy) -> None:
    """Check that a camera was named together with a settings file.

    Raises:
        ConfigError: It was not.
    """
    if made_by[0] is None and made_by[1] is not None:
        raise ConfigError("camera = names a camera of a settings file: give config = too")
