"""When a recording was made, as its container says. Pure functions.

What the tags do not tell: cameras with a wrong clock, and the many that write local time as if it were UTC. For those
there is ``ferstream replay --start``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from ferstream.errors import ConfigError
from ferstream.runtime.printable import printable

_KEYS = ("com.apple.quicktime.creationdate", "creation_time")
"""Tags with a time, the best first: Apple's has the zone of the place; the other one is UTC."""
_YEARS = range(1971, 2200)
"""QuickTime counts from 1904 and others from 1970: an unset clock gives these years. What is later is noise."""


def creation_ns(*metadata: Mapping[str, str]) -> int:
    """Return when a recording began, in UTC nanoseconds since 1970; 0 without a valid tag: recordings never use the clock.

    Args:
        metadata: Tags of the container, then those of the video stream: some files have them there only.
    """
    moments = (_moment(tags.get(key, "")) for tags in metadata for key in _KEYS)
    return next((moment for moment in moments if moment), 0)


def start_time_ns(given: datetime | str, *, name: str) -> int:
    """Return the time at which a person says that a recording began, in UTC nanoseconds since 1970.

    Args:
        given: The time, with its zone; text is ISO 8601.
        name: Name of the option, for messages.

    Raises:
        ConfigError: It is not a time, has no zone, or its year is not one of recordings.
    """
    try:
        moment = datetime.fromisoformat(given.strip()) if isinstance(given, str) else given
    except ValueError:
        raise ConfigError(f'{name}: "{printable(given)}" is not a time as in ISO 8601, such as 2026-11-21T20:31:35Z') from None
    if moment.tzinfo is None:
        raise ConfigError(f'{name}: "{printable(given)}" has no zone; add Z for UTC, or the difference to UTC, such as +01:00')
    if moment.year not in range(1970, 2200):
        raise ConfigError(f'{name}: "{printable(given)}" is not a year of recordings; expected 1970 to 2199')
    return utc_ns(moment)


def _moment(text: str) -> int:
    try:
        created = datetime.fromisoformat(text)
    except ValueError:
        return 0
    if created.tzinfo is None or created.year not in _YEARS:
        return 0
    return utc_ns(created)


def utc_ns(moment: datetime) -> int:
    """Return a moment with a time zone in UTC nanoseconds since 1970."""
    return int(moment.replace(microsecond=0).timestamp()) * 1_000_000_000 + moment.microsecond * 1000
