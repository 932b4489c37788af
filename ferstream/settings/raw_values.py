"""Raw values on their way to the model, each with where it came from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic.fields import FieldInfo

from ferstream.settings.keys import CAMERAS, field_at
from ferstream.settings.problems import DEFAULT, Origin, Problem

_DEEPEST = 4


@dataclass(slots=True)
class Tree:
    """Raw values on their way to the model.

    Attributes:
        data: Nested tables, as TOML has them.
        origins: Where each value came from, by path.
        problems: What is wrong already.
    """

    data: dict[str, Any] = field(default_factory=dict)
    origins: dict[tuple[str | int, ...], Origin] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def origin(self, path: tuple[str | int, ...]) -> Origin:
        """Return where a path, or the nearest table around it, came from."""
        while path and path not in self.origins:
            path = path[:-1]
        return self.origins.get(path, DEFAULT)


def paths(data: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the path of every table and value, cameras entered by number."""
    if path:
        yield path
    if len(path) >= _DEEPEST:
        return
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) and path == (CAMERAS,) else ()
    for key, value in items:
        yield from paths(value, (*path, key))


def values(tree: Tree) -> list[tuple[tuple[str | int, ...], FieldInfo]]:
    """Return the path of every value whose key is known, with the model's field."""
    found = ((path, field_at(path)) for path in tree.origins)
    return [(path, info) for path, info in found if info is not None]
