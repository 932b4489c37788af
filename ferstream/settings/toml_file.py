"""Reads a TOML file into a tree: every value with its line, paths counted from the file's folder, secrets refused."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from ferstream.settings.fields import NotInFile, RelativeToFile
from ferstream.settings.keys import ENV_PREFIX, marks
from ferstream.settings.problems import Origin, Problem, SettingsError, dotted, value_at
from ferstream.settings.raw_values import Tree, paths, values
from ferstream.settings.toml_lines import find_lines

MAX_FILE_BYTES = 1_000_000


def read_toml(path: Path) -> Tree:
    """Read a file.

    Raises:
        SettingsError: It cannot be read or is no TOML.
    """
    text = _read_text(path)
    lines = find_lines(text)
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as exc:
        raise SettingsError(_syntax_problems(path, text, exc, lines.repeated)) from exc
    tree = Tree(data=data)
    for where in paths(data):
        tree.origins[where] = Origin(str(path), lines.of(where))
    _refuse_secrets(tree)
    _anchor_paths(tree, path.parent)
    return tree


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
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


def _syntax_problems(path: Path, text: str, exc: Exception, repeated: list[tuple[tuple[str | int, ...], int, int]]) -> list[Problem]:
    twice = [Problem(Origin(str(path), second), dotted(key), f"is given twice, first in line {first}") for key, first, second in repeated]
    if twice:
        return twice
    message, _, place = str(exc).partition(" (at ")
    numbers = [int(word) for word in re.findall(r"\d+", place)]
    column = f" (column {numbers[1]})" if len(numbers) > 1 else ""
    return [
        Problem(
            Origin(str(path), numbers[0] if numbers else text.rstrip("\n").count("\n") + 1), "", f"is not valid TOML: {message}{column}"
        )
    ]


def _refuse_secrets(tree: Tree) -> None:
    for path, info in values(tree):
        for mark in marks(info):
            if isinstance(mark, NotInFile):
                beside = dotted((*path[:-1], mark.file_key), tree.data)
                text = "a secret does not belong in this file; put it into a file of its own and name that in"
                tree.problems.append(
                    Problem(tree.origin(path), dotted(path, tree.data), f"{text} {beside}, or set {_variable(path, tree)}")
                )


def _variable(path: tuple[str | int, ...], tree: Tree) -> str:
    parts = [str(value_at(tree.data, (*path[:2], "name"))) if isinstance(part, int) else part for part in path]
    return ENV_PREFIX + "__".join(parts).upper().replace("-", "_")


def _anchor_paths(tree: Tree, folder: Path) -> None:
    for path, info in values(tree):
        value = value_at(tree.data, path)
        for mark in marks(info):
            if isinstance(mark, RelativeToFile) and isinstance(value, str) and mark.is_path(value):
                value_at(tree.data, path[:-1])[path[-1]] = str(folder / Path(value).expanduser())
