"""Prometheus' own tool judges the rules and the configuration."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from ferstream.telemetry.metrics import CATALOGUE
from tests.support.prometheus import DEPLOY, executable

PROMETHEUS = DEPLOY / "prometheus"
RULES = sorted((PROMETHEUS / "rules").glob("*.yml"))


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([executable("promtool"), *map(str, arguments)], capture_output=True, text=True, check=False, timeout=500)


def test_the_rules_are_valid() -> None:
    found = promtool("check", "rules", *RULES)
    assert found.returncode == 0, found.stderr


def test_every_alert_fires_when_it_should_and_only_then() -> None:
    found = promtool("test", "rules", PROMETHEUS / "tests" / "alerts.yml")
    assert found.returncode == 0, found.stderr


def test_the_configuration_is_valid(tmp_path: Path) -> None:
    """As the container sees it: the same text with the secret where promtool can see it."""
    token = tmp_path / "http_token"
    token.write_text("x")
    text = (PROMETHEUS / "prometheus.yml").read_text().replace("/run/secrets/http_token", str(token))
    (tmp_path / "prometheus.yml").write_text(text.replace("rules/*.yml", f"{PROMETHEUS}/rules/*.yml"))
    found = promtool("check", "config", tmp_path / "prometheus.yml")
    assert found.returncode == 0, found.stderr + found.stdout
    assert "2 rule files found" in found.stdout


def test_every_alert_has_a_case() -> None:
    alerts = re.findall(r"- alert: (\w+)", (PROMETHEUS / "rules" / "alerts.yml").read_text())
    cases = (PROMETHEUS / "tests" / "alerts.yml").read_text()
    assert len(alerts) == 16
    assert not [alert for alert in alerts if alert not in cases]


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_rules_name_only_metrics_that_exist(path: Path) -> None:
    known = {m.name for m in CATALOGUE} | {
        f"{m.name}{end}" for m in CATALOGUE if m.kind == "histogram" for end in ("_bucket", "_count", "_sum")
    }
    named = set(re.findall(r"(?<![\w:])ferstream_\w+(?![\w:])", path.read_text()))
    assert named
    assert named <= known


def test_the_objective_lies_on_a_bound_of_the_histogram() -> None:
    """Between two bounds the share of slow frames could only be guessed."""
    from ferstream.runtime.counters import LATENCY_BUCKETS_S

    bounds = {float(bound) for path in RULES for bound in re.findall(r'le="([\d.]+)"', path.read_text())}
    assert bounds
    assert bounds <= set(LATENCY_BUCKETS_S)
