from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ferstream.cli.train import app
from ferstream.errors import DataError
from tests.training.conftest import make_faces, write_csv

TINY_RUN = ["--arch", "sequential3", "--epochs", "2", "--batch", "16", "--no-augment"]


def invoke(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=True)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.timeout(600)
def test_a_process_that_is_killed_goes_on_and_ends_in_a_bundle(tmp_path: Path) -> None:
    pytest.importorskip("keras")
    write_csv(tmp_path, make_faces(32, 14))
    command = [sys.executable, "-m", "ferstream", "train", "--data", str(tmp_path), "--out", str(tmp_path / "run"), *TINY_RUN]
    killed = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert killed.stdout is not None
    for line in killed.stdout:
        if line.startswith("epoch 1/2"):
            os.kill(killed.pid, signal.SIGKILL)
            break
    killed.stdout.close()
    assert killed.wait(60) == -signal.SIGKILL
    assert not (tmp_path / "run" / "bundle").exists()

    resumed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)

    assert "epoch 1/2" not in resumed.stdout
    assert (tmp_path / "run" / "bundle" / "manifest.json").is_file()
    history = json.loads((tmp_path / "run" / "history.json").read_text())
    assert [record["epoch"] for record in history] == [1, 2]


def test_the_data_report_counts_and_draws(tmp_path: Path) -> None:
    faces = make_faces(14, 7)
    faces.pixels[1] = 0
    write_csv(tmp_path, faces)

    output = invoke("data", tmp_path, "--out", tmp_path / "report")

    assert "faults: 1 blank" in output
    assert "training uses 13 of 14 faces; 1 are left out" in output
    assert json.loads((tmp_path / "report" / "report.json").read_text())["rows"] == 21
    assert {path.name for path in (tmp_path / "report").iterdir()} == {"report.json", "classes.png", "samples.png"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--arch", "vgg"], "--arch 'vgg' is unknown; choose one of edge, sequential4, sequential3, mobilenet"),
        (["--weights", "none"], "--weights is for --arch mobilenet"),
        (["--label-weight", "2"], "label_weight must be 0..1"),
    ],
)
def test_a_wrong_option_is_named(arguments: list[str], says: str) -> None:
    with pytest.raises(DataError, match=says):
        invoke("--data", "nowhere.csv", *arguments)


def test_without_data_it_says_what_is_missing() -> None:
    result = CliRunner().invoke(app, [])

    assert result.exit_code == 2
    assert "--data" in result.output


def test_options_become_a_recipe_and_no_augment_switches_it_off(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("keras")
    from ferstream.training import session

    asked: dict[str, Any] = {}

    class Enough(Exception):
        pass

    def train(faces: Any, **options: Any) -> None:
        asked.update(options, faces=faces)
        raise Enough

    monkeypatch.setattr(session, "train", train)
    write_csv(tmp_path, make_faces(14, 7))
    changed = ["--epochs", "3", "--rotate", "5", "--no-flip", "--rows", "4"]
    for arguments in (changed, ["--no-augment", "--arch", "sequential4", "--votes", "none"]):
        with pytest.raises(Enough):
            invoke("--data", tmp_path, "--out", tmp_path / "run", *arguments)
        if arguments is changed:
            recipe = asked["recipe"]
            assert (recipe.epochs, recipe.augmentation.rotate_deg, recipe.augmentation.flip) == (3, 5.0, False)
            assert len(asked["faces"]) == 8
            assert asked["faces"].votes is not None
    assert (asked["recipe"].arch, asked["recipe"].augmentation, asked["recipe"].learning_rate) == ("sequential4", None, 5e-4)
    assert asked["faces"].votes is None
    assert asked["target"].directory == tmp_path / "run" / "bundle"
