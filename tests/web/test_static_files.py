"""The scripts and styles of the page: small, without addresses elsewhere, and with every file they load."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from ferstream.domain.emotion import LABELS, Abstained
from ferstream.web.pages import STATIC

SCRIPTS = sorted((STATIC / "js").glob("*.js"))
OWN = [*SCRIPTS, *STATIC.glob("*.css"), STATIC / "index.html"]
MAX_LINES, MAX_COLUMNS = 350, 140
_MARKUP = re.compile(r"innerHTML|outerHTML\s*=|insertAdjacentHTML|document\.write|\beval\(|new Function")
_IMPORT = re.compile(r'^import .* from "(.+)";$', re.MULTILINE)
_ELSEWHERE = re.compile(r"(?:https?:)?//(?!www\.w3\.org/2000/svg\b)[a-z0-9.-]+\.[a-z]{2,}", re.IGNORECASE)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_small_and_makes_no_markup_from_text(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert text.startswith("// "), "a module says what it is for"
    assert len(text.splitlines()) <= MAX_LINES
    assert [line for line in text.splitlines() if len(line) > MAX_COLUMNS] == []
    assert _MARKUP.search(text) is None


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_every_module_that_a_script_imports_is_there(path: Path) -> None:
    for name in _IMPORT.findall(path.read_text(encoding="utf-8")):
        assert (path.parent / name).is_file()


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_no_file_names_another_address(path: Path) -> None:
    assert _ELSEWHERE.findall(path.read_text(encoding="utf-8")) == []


def test_the_page_has_no_inline_script_or_style() -> None:
    found: list[tuple[str, dict[str, str | None]]] = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.append((tag, dict(attrs)))

    Tags().feed((STATIC / "index.html").read_text(encoding="utf-8"))

    assert all("src" in attributes for tag, attributes in found if tag == "script")
    assert not any(
        tag == "style" or "style" in attributes or any(name.startswith("on") for name in attributes) for tag, attributes in found
    )
    for tag, attributes in found:
        address = attributes.get("src") or (attributes.get("href") if tag == "link" else None)
        if address:
            assert (STATIC / address.removeprefix("/static/")).is_file()


def test_the_scripts_know_every_label_and_every_reason() -> None:
    text = (STATIC / "js" / "labels.js").read_text(encoding="utf-8")

    assert f"LABELS = {list(LABELS)}".replace("'", '"') in text
    for reason in Abstained:
        assert re.search(rf"\b{reason.value}: ", text)


def test_the_charts_licence_is_beside_them() -> None:
    folder = STATIC / "vendor" / "uplot"

    assert "MIT" in (folder / "LICENSE").read_text(encoding="utf-8")
    assert "uPlot" in (folder / "uPlot.iife.min.js").read_text(encoding="utf-8")[:100]
