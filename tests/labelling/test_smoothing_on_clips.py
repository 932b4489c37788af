"""Smoothed labels on real clips against labels made by eye: the claims of the table in docs/models.md, on two short clips."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CLIPS = ("sad_to_happy.mp4", "face_then_none.mov")


@pytest.fixture(scope="module")
def report(videos_dir: Path, root_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What ``bench/smoothing.py`` says of two clips and the default model."""
    if not all((videos_dir / clip).exists() for clip in CLIPS):
        pytest.skip("the shared clips are not here")
    out = tmp_path_factory.mktemp("smoothing") / "report.json"
    chosen = [argument for clip in CLIPS for argument in ("--clip", clip)]
    program = [sys.executable, str(root_dir / "bench" / "smoothing.py"), str(videos_dir)]
    subprocess.run([*program, *chosen, "--json", str(out)], check=True, capture_output=True)
    loaded: dict[str, dict[str, Any]] = json.loads(out.read_text())
    return loaded["emotion-edge"]


def test_the_smoothed_label_is_wrong_less_often_than_that_of_each_frame(report: dict[str, Any]) -> None:
    alone, smoothed = report["each frame alone"], report["evidence"]
    assert alone["frames"] == smoothed["frames"] > 500
    assert smoothed["wrong"] < alone["wrong"]


def test_the_smoothed_label_is_at_most_a_quarter_of_a_second_behind_a_change(report: dict[str, Any]) -> None:
    assert len(report["evidence"]["lag_s"]) == 2
    assert max(report["evidence"]["lag_s"]) <= 0.25
    assert report["evidence"]["joined_lag_s"]["median"] <= 0.25


def test_the_smoothed_label_of_a_steady_face_rarely_changes(report: dict[str, Any]) -> None:
    assert report["evidence"]["changes_in_10_s"] <= 3
    assert report["evidence"]["spoken_changes_in_10_s"] <= 3
    assert report["evidence"]["stability"] < 0.5 * report["each frame alone"]["stability"]


def test_errors_of_the_landmarks_hardly_change_the_smoothed_label(report: dict[str, Any]) -> None:
    alone, smoothed = report["each frame alone"]["jittered"], report["evidence"]["jittered"]
    assert smoothed["stability"] < 0.5 * alone["stability"]
