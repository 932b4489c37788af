"""Ranges of settings, checked where a value is made, so that a wrong one is named before anything runs."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ferstream.errors import DataError


@dataclass(frozen=True, slots=True)
class Range:
    """Finite numbers from ``low`` to ``high``; ``above`` and ``below`` leave the ends out."""

    low: float = 0.0
    high: float = math.inf
    above: bool = False
    below: bool = False

    def __contains__(self, value: float) -> bool:
        """Tell whether a value is allowed; NaN and infinity never are."""
        if not math.isfinite(value) or not self.low <= value <= self.high:
            return False
        return not (self.above and value == self.low) and not (self.below and value == self.high)

    def __str__(self) -> str:
        """Say the range as a message needs it."""
        if self.high == math.inf:
            return f"above {self.low:g}" if self.above else f"{self.low:g} or more"
        return f"{self.low:g}..{self.high:g}" + (f" without {self.high:g}" if self.below else "")


SHARE = Range(0, 1)
NOT_NEGATIVE = Range(0)
POSITIVE = Range(0, above=True)


def check_ranges(owner: object, ranges: dict[str, Range]) -> None:
    """Check attributes of a settings value.

    Raises:
        DataError: One is out of its range; names it, the range and the value.
    """
    for name, allowed in ranges.items():
        check_range(name, getattr(owner, name), allowed)


def check_range(name: str, value: float, allowed: Range) -> None:
    """Check one value.

    Raises:
        DataError: It is out of range.
    """
    if value not in allowed:
        raise DataError(f"{name} must be {allowed}, got {value}")
