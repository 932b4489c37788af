"""What the guard allows at which path. Plain values; any thread."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

API_PREFIX = "/api/"
"""Below this path errors are JSON."""
MAX_BODY_BYTES = 1024
"""Longest request body where nothing else is said: most pages read none, but some clients send an empty or tiny one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathRule:
    """The rule for one path.

    Attributes:
        path: The path.
        max_body_bytes: Longest request body.
        public: Whether it is answered without a login.
    """

    path: str
    max_body_bytes: int = MAX_BODY_BYTES
    public: bool = False


class PathRules:
    """The rules of all paths; a path without one has the defaults."""

    def __init__(self, rules: Iterable[PathRule] = ()) -> None:
        self._rules = {rule.path: rule for rule in rules}

    def of(self, path: str) -> PathRule:
        """Return the rule of a path."""
        return self._rules.get(path) or PathRule(path=path)
