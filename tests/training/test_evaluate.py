from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferstream.cli.evaluate import evaluate as evaluate_command
from ferstream.domain.emotion import LABELS
from ferstream.errors import DataError, OutputError
from ferstream.training.data.dataset import FaceSet
from ferstream.training.evaluation.error_gallery import most_confused
from ferstream.training.evaluation.evaluate import Evaluation, evaluate, score
from tests.support.bundles import tiny_openvino_bundle
from tests.training.conftest import make_faces, write_csv


def knows(faces: FaceSet, *, wrong: tuple[int, ...] = ()) -> Callable[[np.ndarray], np.ndarray]:
    """A classifier that knows every face of ``faces``, but takes those of ``wrong`` rows for the next class."""
    answers = {face.tobytes(): int(label) for face, label in zip(faces.pixels, faces.labels, strict=True)}
    for index in wrong:
        answers[faces.pixels[index].tobytes()] = (int(faces.labels[index]) + 1) % len(LABELS)

    def classify(crops: np.ndarray) -> np.ndarray:
        rows = np.full((len(crops), len(LABELS)), 0.02, np.float32)
        rows[np.arange(len(crops)), [answers[crop.tobytes()] for crop in crops]] = 0.88
        return rows

    return classify


def test_every_right_answer_counts_and_every_wrong_one_is_found() -> None:
    faces = make_faces(14, 14)

    result = evaluate(knows(faces, wrong=(14, 15)), faces, usage="PublicTest")

    numbers = result.as_json()
    assert numbers["rows"] == 14
    assert numbers["accuracy"] == pytest.approx(12 / 14, abs=1e-6)
    assert numbers["per_class"]["angry"] == {"rows": 2, "precision": 1.0, "recall": 0.5, "f1": pytest.approx(0.666667)}
    assert numbers["per_class"]["disgust"]["precision"] == 0.5
    assert np.array(numbers["confusion"]).sum() == 14
    assert most_confused(result).tolist() == [0, 1]


def test_the_json_has_the_documented_keys() -> None:
    faces = make_faces(7, 7)

    numbers = evaluate(knows(faces), faces, usage="PublicTest").as_json()

    assert {"rows", "loss", "accuracy", "accuracy_dedup", "balanced_accuracy", "macro_f1", "ece", "per_class"} <= set(numbers)
    assert json.loads(json.dumps(numbers)) == numbers


def test_faces_also_in_training_are_left_out_of_the_second_count() -> None:
    faces = make_faces(14, 7)
    faces.pixels[14] = faces.pixels[0]

    numbers = evaluate(knows(faces, wrong=(20,)), faces, usage="PublicTest").as_json()

    assert (numbers["rows"], numbers["rows_dedup"]) == (7, 6)
    assert numbers["accuracy_dedup"] == pytest.approx(5 / 6, abs=1e-6)


@pytest.mark.parametrize(("training", "usage"), [(0, "PublicTest"), (7, "Training")])
def test_without_training_rows_to_compare_with_the_second_count_is_null(training: int, usage: str) -> None:
    faces = make_faces(training, 7)

    numbers = evaluate(knows(faces), faces, usage=usage).as_json()

    second = {key: value for key, value in numbers.items() if key.endswith("_dedup")}
    assert second == dict.fromkeys([f"{key}_dedup" for key in ("rows", "loss", "accuracy", "balanced_accuracy", "macro_f1", "ece")])
    assert numbers["accuracy"] == 1.0


def test_ferplus_judges_only_rows_with_a_majority() -> None:
    faces = make_faces(7, 7)
    assert faces.votes is not None
    votes = faces.votes.copy()
    votes[7] = [5, 5, 0, 0, 0, 0, 0, 0, 0, 0]
    votes[8] = [0, 9, 0, 0, 0, 0, 0, 0, 0, 1]

    result = evaluate(knows(faces), replace(faces, votes=votes), usage="PublicTest", truth="ferplus")

    assert result.left_out == 1
    assert result.truth.tolist() == [LABELS.index("happy"), 2, 3, 4, 5, 6]
    assert result.scores.accuracy == pytest.approx(5 / 6)


@pytest.mark.parametrize(
    ("usage", "truth", "votes", "says"),
    [
        ("PrivateTest", "fer2013", True, "the split PrivateTest is empty"),
        ("PublicTest", "ferplus", False, "give --votes"),
        ("PublicTest", "mine", True, "choose one of fer2013, ferplus"),
    ],
)
def test_what_cannot_be_judged_is_named(usage: str, truth: str, votes: bool, says: str) -> None:
    faces = make_faces(7, 7, votes=votes)

    with pytest.raises(DataError, match=says):
        evaluate(knows(faces), faces, usage=usage, truth=truth)


def test_no_majority_at_all_is_an_error() -> None:
    faces = make_faces(7, 7)
    assert faces.votes is not None

    with pytest.raises(DataError, match="no row of PublicTest has a FER"):
        evaluate(knows(faces), replace(faces, votes=np.ones_like(faces.votes)), usage="PublicTest", truth="ferplus")


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.integers(1, 50))
def test_scores_agree_with_counting_by_hand(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet(np.ones(7), count).astype(np.float32)
    truth = random.integers(0, 7, count)

    scores = score(probabilities, truth)

    right = probabilities.argmax(axis=1) == truth
    assert scores.accuracy == pytest.approx(right.mean())
    assert scores.rows == count
    for value in scores.as_json().values():
        assert value >= 0
    present = np.unique(truth)
    recall = [right[truth == label].mean() for label in present]
    assert scores.as_json()["balanced_accuracy"] == pytest.approx(float(np.mean(recall)), abs=1e-5)


class TestCommand:
    @staticmethod
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
            **options,
        }
        evaluate_command(**arguments)  # type: ignore[arg-type]
        loaded: dict[str, object] = json.loads(json_file.read_text())
        return loaded

    def test_two_runs_write_equal_json(self, tmp_path: Path) -> None:
        tiny_openvino_bundle(tmp_path / "models", metrics={"ms_per_face": {"openvino": 0.5}})
        write_csv(tmp_path, make_faces(7, 14))

        numbers = self.run(tmp_path, tmp_path / "a.json")
        self.run(tmp_path, tmp_path / "b.json")

        assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
        assert numbers["ms_per_face"] == {"openvino": 0.5}
        assert numbers["ms_per_face_from"] == "the bundle's manifest"
        assert numbers["backend"] == "openvino:CPU"

    def test_ferplus_finds_the_votes_beside_the_csv_and_pictures_are_drawn(self, tmp_path: Path) -> None:
        tiny_openvino_bundle(tmp_path / "models")
        write_csv(tmp_path, make_faces(7, 14))

        numbers = self.run(tmp_path, tmp_path / "new" / "a.json", labels="ferplus", plots=tmp_path / "pictures")

        assert numbers["truth"] == "ferplus"
        assert numbers["ms_per_face_from"] == "this run"
        made = {path.name for path in (tmp_path / "pictures").iterdir()}
        assert made == {"confusion.png", "reliability.png", "most_confused.png"}

    def test_it_says_where_the_cost_was_measured_and_that_nothing_could_be_compared(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        there = {"cpu": "Box 1", "precision": {"openvino": "bf16"}}
        tiny_openvino_bundle(tmp_path / "models", metrics={"ms_per_face": {"openvino": 0.5}, "ms_per_face_on": there})
        write_csv(tmp_path, make_faces(0, 14))

        numbers = self.run(tmp_path, tmp_path / "a.json")
        recorded = capsys.readouterr().out
        now = self.run(tmp_path, tmp_path / "b.json", timing=True)

        assert numbers["ms_per_face_on"] == there
        assert "openvino 0.50 (as recorded in the bundle, --timing measures here; Box 1, openvino in bf16)" in recorded
        assert "not in Training: no Training rows to compare with" in recorded
        assert "(measured now; " in capsys.readouterr().out
        assert isinstance(now["ms_per_face_on"], dict)
        assert now["ms_per_face_on"]["precision"]["openvino"] in {"f32", "bf16", "f16"}

    def test_a_bundle_of_before_says_that_its_machine_was_not_recorded(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        tiny_openvino_bundle(tmp_path / "models", metrics={"ms_per_face": {"openvino": 0.5}})
        write_csv(tmp_path, make_faces(7, 14))

        assert self.run(tmp_path, tmp_path / "a.json")["ms_per_face_on"] is None
        assert "machine and precision not recorded" in capsys.readouterr().out

    @pytest.mark.parametrize("option", ["json_file", "plots"])
    def test_an_output_that_cannot_be_written_is_told_before_the_work(self, tmp_path: Path, option: str) -> None:
        (tmp_path / "file").write_text("")
        wrong = tmp_path / "file" / "out"

        with pytest.raises(OutputError, match=r"file.*: cannot be written: (Not a directory|File exists)"):
            if option == "plots":
                self.run(tmp_path, tmp_path / "a.json", model="no-such-model", plots=wrong)
            else:
                self.run(tmp_path, wrong, model="no-such-model")

    def test_an_unknown_usage_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="--usage 'Test' is unknown"):
            self.run(tmp_path, tmp_path / "a.json", usage="Test")


def test_the_surest_mistake_comes_first() -> None:
    faces = make_faces(0, 3)
    probabilities = np.full((3, 7), 0.05, np.float32)
    probabilities[[0, 1, 2], [1, 2, 2]] = (0.5, 0.7, 0.7)
    result = Evaluation(
        judged=faces,
        truth=faces.labels,
        probabilities=probabilities,
        scores=score(probabilities, faces.labels),
        unseen=score(probabilities, faces.labels),
        left_out=0,
    )

    assert most_confused(result).tolist() == [1, 0]
