"""The tree in the docstring is the tree of the classes, and every exit code is documented."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from ferstream import errors
from ferstream.errors import ExitCode, FerstreamError

_ENTRY = re.compile(r"^    (?P<indent>(?:\|   |    )*)\+-- (?P<name>\w+)\s+(?P<rest>.*)$")


def drawn() -> dict[str, tuple[str, int]]:
    """Parent and exit code by class name, as the docstring draws them; a child without a code has its parent's."""
    tree: dict[str, tuple[str, int]] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        match = _ENTRY.match(line)
        if match is None:
            continue
        depth = len(match["indent"]) // 4
        parent = above[depth - 1] if depth else "FerstreamError"
        code = re.search(r"exit (\d+)$", match["rest"])
        tree[match["name"]] = (parent, int(code[1]) if code else tree[parent][1])
        above[depth:] = [match["name"]]
    return tree


CLASSES: dict[str, type[FerstreamError]] = {
    name: cls for name, cls in vars(errors).items() if inspect.isclass(cls) and issubclass(cls, FerstreamError) and name != "FerstreamError"
}


def test_the_drawing_names_every_class_and_no_other() -> None:
    assert set(drawn()) == set(CLASSES)


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_has_the_parent_and_the_exit_code_of_the_drawing(name: str) -> None:
    cls = CLASSES[name]
    assert (cls.__base__.__name__ if cls.__base__ else "", int(cls.exit_code)) == drawn()[name]


@pytest.mark.parametrize("name", CLASSES)
def test_the_docstring_of_a_class_begins_with_a_sentence(name: str) -> None:
    lines = (CLASSES[name].__doc__ or "").strip().splitlines()
    assert len(lines) >= 1
    assert lines[0].endswith((".", ";"))


def test_the_base_class_has_the_internal_exit_code() -> None:
    assert FerstreamError("x").exit_code is ExitCode.INTERNAL


def test_source_errors_have_distinct_reasons() -> None:
    reasons = [cls.reason for cls in CLASSES.values() if issubclass(cls, errors.SourceError)]
    assert len(set(reasons)) == len(reasons)
    assert all(re.fullmatch(r"[a-z]+", reason) for reason in reasons)  # they become labels of a metric


@pytest.mark.parametrize("code", list(ExitCode))
def test_every_exit_code_is_documented(code: ExitCode, root_dir: Path) -> None:
    text = (root_dir / "docs" / "operations.md").read_text(encoding="utf-8")
    cell = rf"^\|(?:[^|\n]*\|)*\s*`?{int(code)}`?\s*\|"
    assert re.search(cell, text, re.MULTILINE), f"docs/operations.md has no table row for exit code {int(code)} ({code.name})"


def test_exit_codes_differ_from_those_of_shells() -> None:
    special = {1, 126, 127, 128}
    assert not special & {int(code) for code in ExitCode}
    assert ExitCode.INTERRUPTED == 128 + 2


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("one line", "one line", "one line"),
        ("\n  graph is broken  \nand more\n\n", "graph is broken", "and more"),
        ("", "ValueError", "ValueError"),
        (" \n ", "ValueError", "ValueError"),
    ],
)
def test_the_first_and_the_last_line_of_an_exception(text: str, first: str, last: str) -> None:
    assert errors.first_line(ValueError(text)) == first
    assert errors.last_line(ValueError(text)) == last
