"""Reads the settings file into raw values: each value with its line, paths made absolute, secrets refused."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from pydantic.fields import FieldInfo

from ferstream.runtime.input_file import open_input
from ferstream.settings.fields import NotInFile, RelativeToFile
from ferstream.settings.model import CAMERAS, field_at, marks
from ferstream.settings.problems import KeyPath, Origin, Problem, SettingsError, dotted, value_at
from ferstream.settings.sources import RawValues

_Mark = TypeVar("_Mark", NotInFile, RelativeToFile)
MAX_FILE_BYTES = 1_000_000
_PART = r"""(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')"""
_KEY = rf"{_PART}(?:\s*\.\s*{_PART})*"
_LINE = re.compile(rf"\s*(?:(?P<brackets>\[\[?)\s*(?P<table>{_KEY})\s*\]|(?P<key>{_KEY})\s*=)")


def read_toml(path: Path) -> RawValues:
    """Read a settings file.

    Raises:
        SettingsError: The file cannot be read or is not TOML.
    """
    text = _read_text(path)
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as exc:
        raise SettingsError([_syntax_problem(path, text, exc)]) from exc
    raw, lines = RawValues(data=data), find_lines(text)
    for where in paths(data):
        raw.origins[where] = Origin(str(path), _line_of(where, lines))
    _refuse_secrets(raw)
    _make_paths_absolute(raw, path.parent)
    return raw


def find_lines(text: str) -> dict[KeyPath, int]:
    """Return the line (from 1) of each table and key that begins a line; ``tomllib`` does not report lines.

    A line inside a long string that looks like a key is taken for one: only the line number of an error is then wrong.
    """
    found: dict[KeyPath, int] = {}
    counts: dict[KeyPath, int] = {}
    table: KeyPath = ()
    for number, line in enumerate(text.split("\n"), start=1):
        match = _LINE.match(line)
        if match is None:
            continue
        names: KeyPath = tuple(part.strip("\"'") for part in re.findall(_PART, match["table"] or match["key"]))
        if match["brackets"] == "[[":
            found.setdefault(names, number)
            counts[names] = counts.get(names, -1) + 1
            names = (*names, counts[names])
        table = names if match["table"] else table
        found.setdefault(names if match["table"] else (*table, *names), number)
    return found


def paths(data: object, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Yield the path of every table and value down to the fourth level, cameras by index."""
    if path:
        yield path
    if len(path) < 4:
        items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) and path == (CAMERAS,) else ()
        for key, value in items:
            yield from paths(value, (*path, key))


def _line_of(path: KeyPath, lines: dict[KeyPath, int]) -> int:
    """Return the line of a path, or of the nearest table around it; 0 if there is none."""
    return next((lines[path[:depth]] for depth in range(len(path), 0, -1) if path[:depth] in lines), 0)


def _read_text(path: Path) -> str:
    try:
        with open_input(path) as stream:
            raw = stream.read(MAX_FILE_BYTES + 1)
        if len(raw) > MAX_FILE_BYTES:
            raise _unreadable(path, f"is larger than {MAX_FILE_BYTES} bytes, expected a TOML file")
        return raw.decode("utf-8-sig").replace("\r\n", "\n")
    except FileNotFoundError as exc:
        raise _unreadable(path, "no such file; copy config/ferstream.toml there, or give another with -c FILE") from exc
    except IsADirectoryError as exc:
        raise _unreadable(path, "is a directory, expected a TOML file") from exc
    except PermissionError as exc:
        raise _unreadable(path, "this user may not read it; run as its owner, or give another file with -c FILE") from exc
    except UnicodeDecodeError as exc:
        raise _unreadable(path, f"is not UTF-8 text (byte {exc.start}), expected a TOML file") from exc
    except (OSError, ValueError) as exc:
        raise _unreadable(path, f"cannot be read: {getattr(exc, 'strerror', None) or exc}") from exc


def _unreadable(path: Path, text: str) -> SettingsError:
    return SettingsError([Problem(Origin(str(path)), "", text)])


def _syntax_problem(path: Path, text: str, exc: Exception) -> Problem:
    message, _, place = str(exc).partition(" (at ")
    numbers = [int(word) for word in re.findall(r"\d+", place)]
    column = f" (column {numbers[1]})" if len(numbers) > 1 else ""
    line = numbers[0] if numbers else text.rstrip("\n").count("\n") + 1
    key = _LINE.match(text.split("\n")[line - 1]) if message == "Cannot overwrite a value" else None
    if key is not None:
        return Problem(Origin(str(path), line), key["table"] or key["key"], "is given twice")
    return Problem(Origin(str(path), line), "", f"is not valid TOML: {message}{column}")


def _refuse_secrets(raw: RawValues) -> None:
    for path, mark in _marked(raw, NotInFile):
        file_key = dotted((*path[:-1], mark.file_key), raw.data)
        text = "a secret does not belong in this file; put it into a file of its own and name that in"
        raw.problems.append(Problem(raw.origin(path), dotted(path, raw.data), f"{text} {file_key}, or set {raw.variable(path)}"))


def _make_paths_absolute(raw: RawValues, folder: Path) -> None:
    for path, mark in _marked(raw, RelativeToFile):
        value = value_at(raw.data, path)
        if isinstance(value, str) and mark.is_path(value):
            value_at(raw.data, path[:-1])[path[-1]] = str(folder / Path(value).expanduser())


def _marked(raw: RawValues, kind: type[_Mark]) -> list[tuple[KeyPath, _Mark]]:
    """Return the path of every value whose field has a mark of that kind, with the mark."""
    fields: list[tuple[KeyPath, FieldInfo | None]] = [(path, field_at(path)) for path in raw.origins]
    return [(path, mark) for path, info in fields if info is not None for mark in marks(info) if isinstance(mark, kind)]
