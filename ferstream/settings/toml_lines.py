"""Finds the line of each key in a TOML file, which ``tomllib`` does not tell.

It reads only as much of TOML as that needs: headers, dotted keys, and where strings, lists and inline
tables end. The file's meaning always comes from ``tomllib``; a line that is missed costs a line number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_KEY_PART = r"""(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')"""
_KEY = rf"\s*({_KEY_PART}(?:\s*\.\s*{_KEY_PART})*)\s*"
_HEADER = re.compile(rf"\s*(\[\[?){_KEY}\]\]?")
_ASSIGNMENT = re.compile(rf"{_KEY}=")
_TOKEN = re.compile(r'"""|\'\'\'|"(?:\\.|[^"\\])*"|\'[^\']*\'|#.*|[\[\]{}]')


@dataclass(slots=True)
class TomlLines:
    """Lines of keys.

    Attributes:
        lines: Line (from 1) of the first mention of each path.
        repeated: Paths given a second time, with the line of the first and of the second.
    """

    lines: dict[tuple[str | int, ...], int] = field(default_factory=dict)
    repeated: list[tuple[tuple[str | int, ...], int, int]] = field(default_factory=list)

    def of(self, path: tuple[str | int, ...]) -> int:
        """Return the line of a path, or of the nearest table around it; 0 if there is none."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 0)


def find_lines(text: str) -> TomlLines:
    """Return the line of every key that stands at the beginning of a line."""
    found = TomlLines()
    table: tuple[str | int, ...] = ()
    counts: dict[tuple[str, ...], int] = {}
    nesting = _Nesting()
    for number, line in enumerate(text.split("\n"), start=1):
        if nesting.inside:
            nesting.feed(line)
        elif header := _HEADER.match(line):
            table = _enter(found, header, counts, number)
        elif assignment := _ASSIGNMENT.match(line):
            _note(found, (*table, *_parts(assignment.group(1))), number)
            nesting.feed(line[assignment.end() :])
    return found


class _Nesting:
    """Whether the end of a line is still inside a list, an inline table or a long string."""

    def __init__(self) -> None:
        self._depth = 0
        self._quote = ""

    @property
    def inside(self) -> bool:
        return self._depth > 0 or bool(self._quote)

    def feed(self, text: str) -> None:
        at = 0
        while at < len(text):
            if self._quote:
                end = text.find(self._quote, at)
                if end < 0:
                    return
                at, self._quote = end + 3, ""
                continue
            token = _TOKEN.search(text, at)
            if token is None:
                return
            at = token.end()
            self._take(token.group())

    def _take(self, mark: str) -> None:
        if mark in {'"""', "'''"}:
            self._quote = mark
        elif mark in "[{":
            self._depth += 1
        elif mark in "]}":
            self._depth = max(0, self._depth - 1)


def _enter(
    found: TomlLines,
    header: re.Match[str],
    counts: dict[tuple[str, ...], int],
    number: int,
) -> tuple[str | int, ...]:
    names = _parts(header.group(2))
    if header.group(1) == "[[":
        counts[names] = counts.get(names, -1) + 1
        path: tuple[str | int, ...] = (*names, counts[names])
        found.lines.setdefault(names, number)
    else:
        path = names
    _note(found, path, number)
    return path


def _note(found: TomlLines, path: tuple[str | int, ...], number: int) -> None:
    first = found.lines.setdefault(path, number)
    if first != number:
        found.repeated.append((path, first, number))


def _parts(key: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in re.findall(_KEY_PART, key))
