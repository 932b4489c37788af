"""The command ``evaluate``."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from ferstream.cli.evaluate import evaluate as evaluate_command
from ferstream.errors import DataError, OutputError
from tests.support.bundles import tiny_openvino_bundle
from tests.support.face_sets import make_faces, write_csv
from tests.support.pictures import portrait


def run(tmp_path: Path, json_file: Path, **options: object) -> dict[str, object]:
    arguments: dict[str, object] = {
        "data": tmp_path,
        "usage": "PublicTest",
        "model": str(tmp_path / "models" / "tiny" / "1.0.0"),
        "labels": "fer2013",
        "votes": None,
        "json_file": json_file,
        "plots": None,
        "backend": "auto",
        "timing": False,
        "align": False,
        "conditions": False,
        "condition_faces": 0,
        "seed": 0,
        **options,
    }
    evaluate_command(**arguments)  # type: ignore[arg-type]
    loaded: dict[str, object] = json.loads(json_file.read_text())
    return loaded


def test_two_evaluations_write_equal_json(tmp_path: Path) -> None:
    tiny_openvino_bundle(tmp_path / "models", metrics={"ms_per_face": {"openvino": 0.5}})
    write_csv(tmp_path, make_faces(7, 14))

    numbers = run(tmp_path, tmp_path / "a.json")
    run(tmp_path, tmp_path / "b.json")

    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert numbers["ms_per_face"] == {"openvino": 0.5}
    assert numbers["ms_per_face_from"] == "the bundle's manifest"
    assert numbers["backend"] == "openvino:CPU"


def test_ferplus_reads_the_votes_beside_the_csv_and_plots_are_drawn(tmp_path: Path) -> None:
    tiny_openvino_bundle(tmp_path / "models")
    write_csv(tmp_path, make_faces(7, 14))

    numbers = run(tmp_path, tmp_path / "new" / "a.json", labels="ferplus", plots=tmp_path / "pictures")

    assert numbers["truth"] == "ferplus"
    assert numbers["ms_per_face_from"] == "this run"
    made = {path.name for path in (tmp_path / "pictures").iterdir()}
    assert made == {"confusion.png", "reliability.png", "reliability-votes.png", "most_confused.png"}


def test_the_machine_of_the_cost_and_a_missing_training_split_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there = {"cpu": "Box 1", "precision": {"openvino": "bf16"}}
    tiny_openvino_bundle(tmp_path / "models", metrics={"ms_per_face": {"openvino": 0.5}, "ms_per_face_on": there})
    write_csv(tmp_path, make_faces(0, 14))

    numbers = run(tmp_path, tmp_path / "a.json")
    recorded = capsys.readouterr().out
    now = run(tmp_path, tmp_path / "b.json", timing=True)

    assert numbers["ms_per_face_on"] == there
    assert "openvino 0.50 (as recorded in the bundle; --timing measures it here; Box 1, openvino in bf16)" in recorded
    assert "not in Training: no Training rows to compare with" in recorded
    assert "(measured now; " in capsys.readouterr().out
    assert isinstance(now["ms_per_face_on"], dict)
    assert now["ms_per_face_on"]["precision"]["openvino"] in {"f32", "bf16", "f16"}


def test_a_bundle_without_a_recorded_machine_is_reported_as_such(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny_openvino_bundle(tmp_path / "models", metrics={"ms_per_face": {"openvino": 0.5}})
    write_csv(tmp_path, make_faces(7, 14))

    assert run(tmp_path, tmp_path / "a.json")["ms_per_face_on"] is None
    assert "machine and precision not recorded" in capsys.readouterr().out


@pytest.mark.parametrize("option", ["json_file", "plots"])
def test_an_output_that_cannot_be_written_is_an_error_before_the_model_is_loaded(tmp_path: Path, option: str) -> None:
    (tmp_path / "file").write_text("")
    wrong = tmp_path / "file" / "out"

    with pytest.raises(OutputError, match=r"file.*: cannot be written: (Not a directory|File exists)"):
        if option == "plots":
            run(tmp_path, tmp_path / "a.json", model="no-such-model", plots=wrong)
        else:
            run(tmp_path, wrong, model="no-such-model")


def test_an_unknown_usage_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--usage 'Test' is unknown"):
        run(tmp_path, tmp_path / "a.json", usage="Test")


def test_conditions_are_printed_written_and_drawn_and_repeat(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny_openvino_bundle(tmp_path / "models", metrics={"ms_per_face": {"openvino": 0.5}})
    write_csv(tmp_path, make_faces(7, 14))
    options = {"conditions": True, "condition_faces": 4, "seed": 2}

    numbers = run(tmp_path, tmp_path / "a.json", plots=tmp_path / "pictures", **options)
    run(tmp_path, tmp_path / "b.json", **options)

    conditions = numbers["conditions"]
    assert isinstance(conditions, list)
    assert {"clean", "motion", "mask", "dark"} <= {row["condition"] for row in conditions}
    assert all(row["rows"] == 4 and 0 <= row["coverage"] <= 1 for row in conditions)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert (tmp_path / "pictures" / "conditions.png").is_file()
    assert "wrong and sure" in " ".join(capsys.readouterr().out.split())


def test_without_conditions_there_are_none_in_the_json(tmp_path: Path) -> None:
    tiny_openvino_bundle(tmp_path / "models")
    write_csv(tmp_path, make_faces(7, 14))
    assert "conditions" not in run(tmp_path, tmp_path / "a.json")


def test_whole_photos_are_aligned_and_those_without_a_face_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny_openvino_bundle(tmp_path / "models")
    folder = tmp_path / "photos" / "test" / "happy"
    folder.mkdir(parents=True)
    cv2.imwrite(str(folder / "face.png"), portrait())
    cv2.imwrite(str(folder / "wall.png"), np.full((200, 200, 3), 90, np.uint8))

    numbers = run(tmp_path, tmp_path / "a.json", data=tmp_path / "photos", align=True)

    assert numbers["rows"] == 1
    assert f"no face was found: {folder / 'wall.png'}" in capsys.readouterr().out
