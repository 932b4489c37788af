"""The dashboards are what their generator writes, complete, and name nothing that does not exist."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ferstream.telemetry.metrics import CATALOGUE
from tests.support.prometheus import DEPLOY, panel_queries

GRAFANA = DEPLOY / "grafana"
PAGES = sorted((GRAFANA / "dashboards").glob("*.json"))


def load(path: Path) -> dict[str, Any]:
    page: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return page


def test_the_files_are_what_the_generator_writes() -> None:
    code = "import json, generate; print(json.dumps({p.name: t for p, t in generate.render().items()}))"
    made = subprocess.run([sys.executable, "-B", "-c", code], cwd=GRAFANA, capture_output=True, text=True, check=True).stdout
    assert json.loads(made) == {path.name: path.read_text(encoding="utf-8") for path in PAGES}, "run: python deploy/grafana/generate.py"


def test_both_pages_are_there() -> None:
    assert [path.stem for path in PAGES] == ["fleet", "node"]


def test_every_metric_is_on_a_panel() -> None:
    shown = " ".join(query.expr for query in panel_queries(job="j", instance="i", window="1m"))
    assert not [metric.name for metric in CATALOGUE if metric.name not in shown]


def test_no_panel_names_a_metric_that_does_not_exist() -> None:
    known = {m.name for m in CATALOGUE} | {
        f"{m.name}{end}" for m in CATALOGUE if m.kind == "histogram" for end in ("_bucket", "_count", "_sum")
    }
    named = {name for query in panel_queries(job="j", instance="i", window="1m") for name in re.findall(r"\bferstream_\w+", query.expr)}
    assert named - {"ferstream"} <= known


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_panels_have_a_title_a_description_a_unit_and_a_place_of_their_own(path: Path) -> None:
    panels = load(path)["panels"]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        assert panel["title"]
        if panel["type"] != "row":
            assert panel["description"].endswith("."), panel["title"]
            assert panel["fieldConfig"]["defaults"]["unit"]
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in panels}) == len(panels)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_every_variable_of_a_query_is_declared(path: Path) -> None:
    page = load(path)
    declared = {choice["name"] for choice in page["templating"]["list"]} | {"__rate_interval", "__value", "__url_time_range"}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps([page["panels"], page["annotations"]])))
    assert used <= declared


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_rates_are_of_counters_only(path: Path) -> None:
    counters = {m.name for m in CATALOGUE if m.kind == "counter"} | {"process_cpu_seconds_total"}
    for panel in load(path)["panels"]:
        for target in panel.get("targets", ()):
            for name in re.findall(r"(?:rate|increase)\((\w+)", target["expr"]):
                assert name in counters or name.endswith(("_bucket", "_sum", "_count")), target["expr"]
