"""Links, paths, make targets and decision records that the pages name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.pages import broken_links, linked_pages, prose_of

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("docs", "bench", "models", "deploy")
PAGES = sorted([*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))])
ROOMS = {path.name for path in (ROOT / "ferstream").iterdir() if path.is_dir() and not path.name.startswith("_")}
TOP = {"bench", "config", "deploy", "docs", "ferstream", "models", "scripts", "tests"}
CODE = re.compile(r"`([^`\n]+)`")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def is_path(text: str) -> bool:
    """Whether text in backticks is a path of this repository: topics and placeholders are not."""
    first, _, rest = text.partition("/")
    if not rest or not re.fullmatch(r"[\w./*-]+", rest) or "NAME" in text:
        return False
    return first in TOP - {"ferstream"} or (first in {"ferstream", *ROOMS} and bool(re.search(r"(\.\w+|/)$", text)))


def missing_paths(page: Path) -> list[str]:
    named = {code.partition("::")[0].rstrip("/") for code in CODE.findall(prose_of(page)) if is_path(code.partition("::")[0])}
    return sorted(path for path in named if not any(True for base in (ROOT, ROOT / "ferstream") for _ in base.glob(path)))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert broken_links(page) == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=name_of)
def test_every_path_in_backticks_exists(page: Path) -> None:
    assert missing_paths(page) == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", text_of(ROOT / "Makefile"), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)", text_of(page))) <= targets


def test_broken_links_and_missing_paths_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# Top\n[a](none.md) [b](#top) [c](#other) [d](https://example.org/x.md)\n`ferstream/none.py` `ferstream/edge/door/state`\n"
    )
    assert broken_links(page) == ["none.md", "#other"]
    assert missing_paths(page) == ["ferstream/none.py"]


RECORDS = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))


def test_records_have_numbers_of_their_own_and_carry_them_in_their_titles() -> None:
    numbers = [int(record.name[:4]) for record in RECORDS]
    assert len(set(numbers)) == len(numbers)
    assert [int(re.findall(r"^# (\d+)\. ", text_of(record))[0]) for record in RECORDS] == numbers


def test_the_list_of_records_names_each_with_its_title() -> None:
    listed = re.findall(r"^\| \[(\d+)\]\(([\w-]+\.md)\) \| (.+?) \|$", text_of(ROOT / "docs" / "adr" / "README.md"), re.MULTILINE)
    expected = [(str(int(record.name[:4])), record.name) for record in RECORDS]
    assert [(number, name) for number, name, _ in listed] == expected
    assert all(line.strip() for _, _, line in listed)


def test_every_page_of_the_documents_can_be_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached:
            continue
        reached.add(page)
        waiting += linked_pages(page)
    assert {name_of(page) for page in PAGES} - {name_of(page) for page in reached} == set()
