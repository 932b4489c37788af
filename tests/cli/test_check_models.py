"""``ferstream check`` finds what is wrong with the models."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ferstream.errors import ExitCode
from tests.support.check_command import RunCheck, only_failure


def spoilt(bundle: Path, target: Path, spoil: Callable[[Path], None]) -> Path:
    shutil.copytree(bundle, target)
    spoil(target)
    return target


def append(folder: Path) -> None:
    with (folder / "openvino.bin").open("ab") as stream:
        stream.write(b"x")


def edit(**fields: object) -> Callable[[Path], None]:
    def do(folder: Path) -> None:
        manifest = json.loads((folder / "manifest.json").read_text())
        for path, value in fields.items():
            assert path in manifest, list(manifest)
            manifest[path] = value
        (folder / "manifest.json").write_text(json.dumps(manifest))

    return do


def test_a_model_with_a_wrong_hash(check: RunCheck, bundle: Path, tmp_path: Path) -> None:
    model = spoilt(bundle, tmp_path / "m", append)
    assert "sha256" in only_failure(check(model=model), ExitCode.MODEL)["detail"]


def test_a_model_with_wrong_labels(check: RunCheck, bundle: Path, tmp_path: Path) -> None:
    model = spoilt(bundle, tmp_path / "m", edit(labels=["happy", "sad"]))
    assert "label" in only_failure(check(model=model), ExitCode.MODEL)["detail"]


def test_a_model_with_an_unknown_alignment(check: RunCheck, bundle: Path, tmp_path: Path) -> None:
    model = spoilt(bundle, tmp_path / "m", edit(alignment="guessed-9"))
    assert "alignment" in only_failure(check(model=model), ExitCode.MODEL)["detail"]


def test_a_missing_model(check: RunCheck) -> None:
    found = only_failure(check(model="emotion-none"), ExitCode.MODEL)
    assert "emotion-none" in found["detail"]


@pytest.mark.parametrize("weights", ["none.onnx", "text.onnx"])
def test_detector_weights_that_are_missing_or_not_a_network(weights: str, check: RunCheck, tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("no network")
    found = only_failure(check(rest=f'[detection]\nmodel = "{weights}"'), ExitCode.MODEL)
    assert (found["part"], weights in found["detail"]) == ("detector", True)
