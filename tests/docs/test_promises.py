"""Every promise of the pages on privacy, security and MQTT names a test that proves it, and that test exists.

A promise ends with ``(test: tests/room/test_file.py::test_name)``, or ``(tests: first, second)``; what no test can
show ends with ``(not tested: reason)``. A promise is a paragraph, an item of a list or a row of a table. A paragraph
that names tests, right behind a table, stands for all of its rows. A paragraph that ends with a colon introduces the next;
what follows "What it does **not** promise:" is none.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.docs.test_links import PAGES, ROOT, name_of

WITHOUT_PROMISES = {
    "privacy.md": {"The law of the European Union"},
    "security.md": {"What is worth protecting", "Out of scope"},
    "mqtt.md": {"Try it"},
}
"""Sections of each page that promise nothing; the text before the first section is an introduction."""
EVIDENCE = re.compile(r"\((?:tests?|not tested): [^()]+\)")
REFERENCE = re.compile(r"\(tests?: ([^()]+)\)")


@dataclass(frozen=True, slots=True)
class Promise:
    """One paragraph, item or row.

    Attributes:
        section: the heading of level two it stands under.
        text: on one line.
        is_row: it is a row of a table.
    """

    section: str
    text: str
    is_row: bool = False

    @property
    def is_proved(self) -> bool:
        if self.text.endswith(":"):
            return True
        return bool(EVIDENCE.search(self.text) if self.is_row else re.search(EVIDENCE.pattern + r"[.;]?$", self.text))


def _blocks(page: Path) -> list[tuple[str, list[str]]]:
    """Runs of lines without a blank one between them, with their section; blocks of code and introductions are left out."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    found, section = [], ""
    for block in re.split(r"\n\s*\n", text):
        lines = block.strip().splitlines()
        if lines and lines[0].startswith("## "):
            section = lines.pop(0)[3:]
        if lines and lines[0].startswith("#"):
            lines.pop(0)
        if lines and section:
            found.append((section, lines))
    return found


def _promises_of(section: str, lines: list[str]) -> list[Promise]:
    if lines[0].startswith("|"):
        return [Promise(section, row, is_row=True) for row in lines[2:]]
    items: list[str] = []
    for line in lines:
        if not items or re.match(r"(-|\d+\.) ", line):
            items.append(line)
        else:
            items[-1] += " " + line.strip()
    return [Promise(section, item.strip()) for item in items]


def promises(page: Path) -> list[Promise]:
    """All promises of a page, those proved by a paragraph behind their table left out, and what is said not to be promised."""
    blocks, found = _blocks(page), list[Promise]()
    for index, (section, lines) in enumerate(blocks):
        follower = " ".join(blocks[index + 1][1]) if index + 1 < len(blocks) else ""
        is_proved_below = lines[0].startswith("|") and bool(REFERENCE.search(follower))
        is_disclaimed = index > 0 and blocks[index - 1][1][-1].endswith("does **not** promise:")
        if section in WITHOUT_PROMISES[page.name] or is_proved_below or is_disclaimed:
            continue
        found += _promises_of(section, lines)
    return found


@cache
def names_in(file: Path) -> frozenset[str]:
    """The names of test functions, alone and behind the name of their class."""
    names = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        inner = node.body if isinstance(node, ast.ClassDef) else [node]
        found = {each.name for each in inner if isinstance(each, ast.FunctionDef) and each.name.startswith("test_")}
        names |= found | ({f"{node.name}::{name}" for name in found} if isinstance(node, ast.ClassDef) else set())
    return frozenset(names)


def unknown_tests(text: str) -> list[str]:
    """References to tests that do not exist."""
    names = [name.strip("` ") for references in REFERENCE.findall(" ".join(text.split())) for name in references.split(",")]
    return [name for name in names if not _exists(name)]


def _exists(name: str) -> bool:
    path, _, test = name.partition("::")
    return (ROOT / path).is_file() and test in names_in(ROOT / path)


@pytest.mark.parametrize("name", WITHOUT_PROMISES)
def test_every_promise_names_its_test(name: str) -> None:
    found = promises(ROOT / "docs" / name)
    assert len(found) >= 15
    assert [f"{promise.section}: {promise.text}" for promise in found if not promise.is_proved] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_test_that_a_page_names_exists(page: Path) -> None:
    assert unknown_tests(page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("name", WITHOUT_PROMISES)
def test_sections_without_promises_exist(name: str) -> None:
    sections = set(re.findall(r"^## (.+)$", (ROOT / "docs" / name).read_text(encoding="utf-8"), re.MULTILINE))
    assert sections >= WITHOUT_PROMISES[name]


def test_promises_without_a_test_and_tests_that_do_not_exist_are_found(tmp_path: Path) -> None:
    page = tmp_path / "mqtt.md"
    here = "tests/docs/test_promises.py::test_sections_without_promises_exist"
    page.write_text(
        f"# Page\nIntroduction.\n\n## Promises\nNo proof.\n\n- Proved (test: {here}).\n- Not\n  proved.\n\nIntroduces:\n\n"
        "What it does **not** promise:\n\n- This.\n\n"
        f"| a |\n|---|\n| row |\n\n| b |\n|---|\n| covered |\n\n(test: {here})\n\nCannot be shown (not tested: reason).\n"
    )
    assert [promise.text for promise in promises(page) if not promise.is_proved] == ["No proof.", "- Not proved.", "| row |"]
    assert unknown_tests(f"(tests: {here}, tests/docs/test_promises.py::test_none, tests/none.py::test_none)") == [
        "tests/docs/test_promises.py::test_none",
        "tests/none.py::test_none",
    ]
