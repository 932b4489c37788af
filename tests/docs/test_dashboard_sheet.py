"""The picture of the dashboards: every panel can be drawn, and one without data is named."""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

OF_SOURCE = {"instance": "host:1", "camera": "door", "sink": "mqtt"}
LABELS = OF_SOURCE | {
    "instance": "host:1",
    "camera": "door",
    "stage": "detection",
    "emotion": "happy",
    "sink": "mqtt",
    "version": "1.2.3",
    "model": "m",
}
BUCKETS = ("0.01", "0.1", "+Inf")


@pytest.fixture(scope="module")
def sheet(root_dir: Path) -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("dashboard_sheet", root_dir / "docs/scripts/dashboard_sheet.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
        yield module


def series(expr: str) -> list[tuple[dict[str, str], np.ndarray, np.ndarray]]:
    """What a Prometheus could say."""
    at = np.linspace(-120.0, 0.0, 13)
    buckets = BUCKETS if expr.startswith("sum by (le)") else ("",)
    return [(LABELS | {"le": bucket}, at, np.full_like(at, float(number))) for number, bucket in enumerate(buckets)]


def test_every_panel_is_drawn(sheet: ModuleType, tmp_path: Path) -> None:
    assert sheet.draw(tmp_path / "sheet.png", sheet.pages(), series) == []
    picture = cv2.imread(str(tmp_path / "sheet.png"))
    assert picture is not None
    assert picture.shape[1] == 1280


def test_a_panel_without_data_is_named(sheet: ModuleType, tmp_path: Path) -> None:
    pages = sheet.pages()
    for page in pages:
        page["panels"] = [panel for panel in page["panels"] if panel["title"] in {"GPU memory", "Nodes up"}]
    assert sheet.draw(tmp_path / "sheet.png", pages, lambda expr: [] if "gpu_memory" in expr else series(expr)) == [
        "ferstream: node/GPU memory"
    ]


def test_every_type_of_panel_is_known(sheet: ModuleType) -> None:
    types = {panel["type"] for page in sheet.pages() for panel in page["panels"]}
    assert types - {"row"} == set(sheet.DRAWN)


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (0.0213, "s", "21.3 ms"),
        (3.2e-5, "s", "32 µs"),
        (12, "s", "12 s"),
        (0.5, "percentunit", "50 %"),
        (3 << 20, "bytes", "3 MiB"),
        (2.5, "ops", "2.5/s"),
        (math.inf, "s", "+Inf"),
    ],
)
def test_numbers_have_their_units(sheet: ModuleType, value: float, unit: str, expected: str) -> None:
    assert sheet.amount(value, unit) == expected
