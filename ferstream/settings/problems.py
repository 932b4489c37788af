"""Problems of settings: one line each, with where, which key, what was expected and what was found. Never a secret."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic_core import ErrorDetails

from ferstream.errors import ConfigError
from ferstream.runtime.printable import printable
from ferstream.runtime.redaction import redact, redact_source

KeyPath = tuple[str | int, ...]
"""Where a value is in the tables, such as ``("mqtt", "url")`` or ``("cameras", 0, "source")``."""
_SECRET_NAME = re.compile(r"pass|token|secret|credential|pin$|^key$|api_?key", re.IGNORECASE)
_LONGEST_VALUE = 60
_KINDS = {
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "string_type": "text in quotes",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "dict_type": "a table",
    "tuple_type": "a list",
    "list_type": "a list",
}
_PATTERNS = {
    "name": "1 to 32 of the characters a-z 0-9 _ -",
    "node": "1 to 64 characters without / + # or blanks",
}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from.

    Attributes:
        label: The file, ``environment FERSTREAM_...``, ``flag KEY`` or ``default``.
        line: Line in the file, from 1; 0 when it is not known or there is none.
    """

    label: str
    line: int = 0

    @property
    def rank(self) -> int:
        """Place among the sources: the file, then the environment, then flags."""
        return next((rank for rank, kind in enumerate(("environment ", "flag "), start=1) if self.label.startswith(kind)), 0)

    def __str__(self) -> str:
        return f"{self.label}:{self.line}" if self.line else self.label


DEFAULT = Origin("default")


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in the settings.

    Attributes:
        origin: The file and line, variable or flag with the mistake.
        key: The dotted key, empty if the problem is not that of a key.
        text: What was expected, what was found, what to do.
    """

    origin: Origin
    key: str
    text: str

    def __str__(self) -> str:
        where = "" if self.origin == DEFAULT else f"{self.origin}: "
        return f"{where}{self.key}: {self.text}" if self.key else f"{where}{self.text}"


class SettingsError(ConfigError):
    """Settings that cannot be used. The message has one line for each problem, after a line with their number if there are several.

    Attributes:
        problems: All problems: those of the file in its order, then those of variables, then those of flags.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        ordered = sorted(dict.fromkeys(problems), key=lambda p: (p.origin.rank, p.origin.label, p.origin.line, p.key))
        self.problems = tuple(ordered)
        lines = [printable(str(problem)) for problem in ordered]
        super().__init__(lines[0] if len(lines) == 1 else "\n".join([f"{len(lines)} problems in the settings", *lines]))


def dotted(path: KeyPath, data: Any = None) -> str:
    """Return a path as text: ``detection.width``, ``cameras.door.source``, or ``cameras[2].source`` for a camera without a name."""
    text = ""
    for depth, part in enumerate(path):
        if isinstance(part, int):
            name = _name_of(data, path[: depth + 1]) if depth == 1 else None
            text += f".{name}" if name else f"[{part}]"
        else:
            plain = part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else json.dumps(redact(part)[:_LONGEST_VALUE])
            text += f".{plain}" if text else plain
    return text


def value_at(data: Any, path: KeyPath) -> Any:
    """Return the value at a path, None if there is none."""
    for part in path:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def explain(error: ErrorDetails, *, known: Iterable[str]) -> str:
    """Return what was expected and what was found.

    Args:
        error: One error of pydantic's.
        known: All dotted keys; the one that is most like an unknown key is proposed.
    """
    kind, path = error["type"], error["loc"]
    if kind == "missing":
        return "is missing and has no default"
    if kind == "extra_forbidden":
        return unknown_key(dotted(tuple(p for p in path if isinstance(p, str))), known)
    message = str(error["ctx"]["error"]) if kind == "value_error" and "ctx" in error else error["msg"]
    expected = _KINDS.get(kind) or _pattern(kind, path) or message.removeprefix("Input should be ")
    return f"expected {expected.removeprefix('expected ')}, found {shown(error.get('input'), path)}"


def unknown_key(key: str, known: Iterable[str]) -> str:
    """Return the text for a key that does not exist, with the known key that is most like it."""
    names = sorted(set(known))
    near = difflib.get_close_matches(key, names, n=1, cutoff=0.6)
    if not near:
        last = {name.rpartition(".")[2]: name for name in names}
        near = [last[n] for n in difflib.get_close_matches(key.rpartition(".")[2], last, n=1, cutoff=0.75)]
    return f"unknown key; did you mean {near[0]}?" if near else "unknown key; config/ferstream.toml lists all keys"


def shown(value: Any, path: KeyPath) -> str:
    """Return a value for a message: only its kind if it is a table or a list, nothing of it if it may be a secret."""
    if any(isinstance(part, str) and _SECRET_NAME.search(part) and not part.endswith("_file") for part in path):
        return "a value that is not shown"
    match value:
        case dict():
            return "a table"
        case list() | tuple():
            return f"a list of {len(value)}"
        case bool():
            return str(value).lower()
        case str():
            text = redact_source(value)
            return f'"{text[:_LONGEST_VALUE]}..."' if len(text) > _LONGEST_VALUE else f'"{text}"'
        case int() | float():
            return f"{value}"[:_LONGEST_VALUE] if not isinstance(value, int) or abs(value) < 10**_LONGEST_VALUE else "a huge number"
        case _:
            return f"a {type(value).__name__}"


def _pattern(kind: str, path: KeyPath) -> str | None:
    return _PATTERNS.get(str(path[-1])) if kind == "string_pattern_mismatch" else None


def _name_of(data: Any, path: KeyPath) -> str | None:
    name = value_at(data, (*path, "name"))
    return name if isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9_-]{1,32}", name) else None
