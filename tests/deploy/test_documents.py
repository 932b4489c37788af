"""The operator's pages say what is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ferstream.errors import ExitCode
from tests.support.prometheus import DEPLOY

ROOT = DEPLOY.parent
PAGES = [ROOT / "docs" / f"{name}.md" for name in ("operations", "metrics", "privacy", "security")]


def text(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")


def test_the_exit_codes_are_those_of_the_program() -> None:
    rows = re.findall(r"^\| (\d+) \| ([A-Z_]+) \|", text("operations"), re.MULTILINE)
    assert rows == [(str(int(code)), code.name) for code in ExitCode]


def test_every_alert_has_an_instruction() -> None:
    alerts = set(re.findall(r"- alert: (\w+)", (DEPLOY / "prometheus" / "rules" / "alerts.yml").read_text()))
    section = text("operations").split("## Alerts")[1].split("\n## ")[0]
    table = {name for row in re.findall(r"^\| (Ferstream[\w, ]+) \|", section, re.MULTILINE) for name in row.split(", ")}
    assert table == alerts


def test_the_numbers_of_rules_and_cases_are_right() -> None:
    rules = (DEPLOY / "prometheus" / "rules" / "alerts.yml").read_text().count("- alert:")
    cases = len(re.findall(r"^  - name:", (DEPLOY / "prometheus" / "tests" / "alerts.yml").read_text(), re.MULTILINE))
    assert f"({rules} rules, {cases} cases: SUCCESS)" in text("operations")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_file_that_is_named_exists(page: Path) -> None:
    named = set(re.findall(r"`((?:deploy|tests|bench|config|docs|ferstream)/[\w./*-]+)`", page.read_text(encoding="utf-8")))
    assert not [path for path in named if not list(ROOT.glob(path.rstrip("/")))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([\w./-]+\.md)?(?:#([\w-]+))?\)", page.read_text(encoding="utf-8")):
        other = page.parent / target if target else page
        assert other.is_file(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", other.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}, f"{target}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)`", page.read_text(encoding="utf-8"))) <= targets
