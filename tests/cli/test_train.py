from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import pytest
from typer.testing import CliRunner

from ferstream.cli.train import app
from ferstream.errors import DataError, OutputError
from ferstream.training.data.selection import Selection
from tests.support.face_sets import make_faces, write_csv

TINY_RUN = ["--arch", "sequential3", "--epochs", "2", "--batch", "16", "--no-augment"]


def invoke(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=True)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.timeout(1200)
def test_a_killed_process_is_resumed_and_ends_in_a_bundle(tmp_path: Path) -> None:
    pytest.importorskip("keras")
    write_csv(tmp_path, make_faces(32, 14))
    command = [sys.executable, "-m", "ferstream", "train", "--data", str(tmp_path), "--out", str(tmp_path / "run"), *TINY_RUN]
    killed = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert killed.stdout is not None
    for line in killed.stdout:
        if line.startswith("epoch 1/2: loss"):
            os.kill(killed.pid, signal.SIGKILL)
            break
    killed.stdout.close()
    assert killed.wait(60) == -signal.SIGKILL
    assert not (tmp_path / "run" / "bundle").exists()

    resumed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=550)

    assert "epoch 1/2: loss" not in resumed.stdout
    assert f"resuming the run in {tmp_path / 'run'} ..." in resumed.stdout
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


def test_unreadable_pictures_are_counted_and_the_first_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "train" / "happy"
    folder.mkdir(parents=True)
    cv2.imwrite(str(folder / "z.png"), make_faces(1, 0).pixels[0])
    for number in range(4):
        (folder / f"{number}.jpg").write_text("not a picture")

    output = invoke("data", tmp_path)

    assert "0 blank, 4 broken" in output
    assert re.search(r"skipped, cannot be decoded: \S+0\.jpg, \S+1\.jpg, \S+2\.jpg and 1 more", output)


def test_a_report_folder_that_cannot_be_made_is_an_error_before_the_data_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(OutputError, match=r"file.report: cannot be written"):
        invoke("data", tmp_path / "nowhere.csv", "--out", tmp_path / "file" / "report")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--arch", "vgg"], "--arch 'vgg' is unknown; choose one of edge, small, large, sequential4, sequential3, mobilenet"),
        (["--weights", "none"], "--weights is for --arch mobilenet; edge has no pretrained weights"),
        (["--label-weight", "2"], "--label-weight should be less than or equal to 1, got 2"),
        (["--dropout", "1.5"], "--dropout should be less than 1, got 1.5"),
        (["--learning-rate", "nan"], "--learning-rate should be a finite number, got nan"),
        (["--scale", "1"], "--scale should be less than 1, got 1"),
        (["--rotate", "200"], "--rotate should be less than or equal to 180"),
        (["--patience", "-1", "--mixup", "-1"], "--mixup should be .*; --patience should be"),
        (["--seed", "-1"], "--seed should be greater than or equal to 0"),
        (["--arch", "mobilenet", "--weights", "none", "--frozen-epochs", "2"], "--frozen-epochs: with --weights none"),
    ],
)
def test_a_wrong_option_is_an_error_that_names_it(arguments: list[str], says: str) -> None:
    with pytest.raises(DataError, match=says):
        invoke("--data", "nowhere.csv", *arguments)


def test_train_without_data_names_the_missing_option() -> None:
    result = CliRunner().invoke(app, [])

    assert result.exit_code == 2
    assert "--data" in result.output


def test_options_reach_the_training_session(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("keras")
    from ferstream.training import session

    asked: dict[str, Any] = {}

    class Called(Exception):
        """Ends the command where training would begin."""

    def train(selection: Selection, **options: Any) -> None:
        asked.update(options, selection=selection)
        raise Called

    monkeypatch.setattr(session, "train", train)
    monkeypatch.setattr(sys, "argv", ["ferstream", "train", "--data", "my faces", "--out", "a;b"])
    written = make_faces(14, 7)
    written.pixels[10] = 0  # beyond the first rows
    write_csv(tmp_path, written)
    changed = ["--batch", "2", "--epochs", "3", "--rotate", "5", "--no-flip", "--rows", "4", "--keep-faulty"]
    for arguments in (changed, ["--no-augment", "--arch", "sequential4", "--votes", "none", "--batch", "13"]):
        done = CliRunner().invoke(app, ["--data", str(tmp_path), "--out", str(tmp_path / "run"), *arguments])
        assert isinstance(done.exception, Called)
        assert ("0 blank" if arguments is changed else "1 blank") in done.output
        assert asked["selection"].keep_faulty == (arguments is changed)
        assert asked["command"] == "ferstream train --data 'my faces' --out 'a;b'"
        if arguments is changed:
            recipe = asked["recipe"]
            assert (recipe.epochs, recipe.augmentation.rotate_deg, recipe.augmentation.flip) == (3, 5.0, False)
            assert len(asked["selection"].faces) == 8
            assert asked["selection"].faces.votes is not None
    assert (asked["recipe"].arch, asked["recipe"].augmentation, asked["recipe"].learning_rate) == ("sequential4", None, 5e-4)
    assert asked["selection"].faces.votes is None
    assert asked["target"].directory == tmp_path / "run" / "bundle"


def test_fewer_faces_than_a_batch_are_an_error_before_keras_is_imported(tmp_path: Path) -> None:
    pytest.importorskip("keras")
    write_csv(tmp_path, make_faces(32, 14))
    program = "from ferstream.cli.train import app; import sys; sys.modules['tensorflow'] = None; app(sys.argv[1:], standalone_mode=False)"

    done = subprocess.run(
        [sys.executable, "-c", program, "--data", str(tmp_path), "--rows", "20", "--out", str(tmp_path / "run")],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert "20 training faces are fewer than one batch of 128; give a smaller --batch" in done.stderr
    assert done.stdout.startswith(f"reading {tmp_path}")
    assert not (tmp_path / "run").exists()


def test_teachers_with_two_heads_lead_to_a_student_and_the_command_of_its_bundle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("keras")
    from ferstream.training import session

    asked: dict[str, Any] = {}

    def train_two_heads(_selection: Selection, **options: Any) -> Path:
        asked.update(options)
        return Path(options["folder"] / "two-heads.keras")

    monkeypatch.setattr(session, "train_two_heads", train_two_heads)
    write_csv(tmp_path, make_faces(14, 7))
    run = tmp_path / "run"

    output = invoke(
        "--data", tmp_path, "--out", run, "--batch", 7, "--architecture", "small", "--teacher", "a.keras", "--teacher", "b.keras"
    )

    assert asked["recipe"].teachers == ["a.keras", "b.keras"]
    assert asked["recipe"].arch == "small"
    assert f"balance {run / 'two-heads.keras'} --data {tmp_path} --name emotion-small" in output


def test_two_heads_without_votes_are_refused_before_keras_is_loaded(tmp_path: Path) -> None:
    write_csv(tmp_path, make_faces(14, 7))
    with pytest.raises(DataError, match="two heads need FER"):
        invoke("--data", tmp_path, "--out", tmp_path / "run", "--batch", 7, "--two-heads", "--votes", "none")
