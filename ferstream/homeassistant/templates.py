"""Parts of discovery messages: templates in Home Assistant's language, and how long a value is good."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

Component = dict[str, Any]
"""One entity, without its platform and its unique id."""
Entities = Mapping[str, Component | None]
"""The entities of a device by their keys; None for one that is not offered."""

ONLY_ONLINE: Final = "{{ 'online' if value == 'online' else 'offline' }}"
"""The availability of a node for Home Assistant, which knows two words: ``stopped`` is offline too."""
INTERVALS: Final = 3
"""A value is good for so many intervals."""
SHORTEST_EXPIRY_S: Final = 5


NO_VALUE: Final = "None"
"""What Home Assistant takes for "not known" on every platform; an empty text is an invalid value of some."""


def value(expression: str, *, missing: str = NO_VALUE) -> str:
    """Return a template for a JSON payload.

    Args:
        expression: The value, of ``value_json``.
        missing: The value of an empty payload, with which a retained message is removed.
    """
    return f"{{{{ ({expression}) if value_json is defined else '{missing}' }}}}"


def expire_after(interval_s: float) -> int:
    """Return the seconds after which a value that comes at an interval is out of date."""
    return max(SHORTEST_EXPIRY_S, math.ceil(INTERVALS * interval_s))
