"""The operator's pages agree with the code, the alert rules and the exit codes."""

from __future__ import annotations

import re

from ferstream.errors import ExitCode
from tests.support.prometheus import DEPLOY

ROOT = DEPLOY.parent


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
