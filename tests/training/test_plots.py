from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from ferstream.training.evaluation import plots
from ferstream.training.evaluation.calibration import reliability
from ferstream.training.evaluation.report import write_pictures
from ferstream.training.fitting.history import EpochRecord, best_epoch, write_history
from tests.training.conftest import make_faces


def record(epoch: int, score: float | None = 0.5) -> EpochRecord:
    return EpochRecord(
        epoch=epoch,
        loss=1.0 / epoch,
        accuracy=0.4,
        val_loss=1.1,
        val_accuracy=0.45,
        val_majority_accuracy=score,
        learning_rate=1e-3,
        seconds=1.0,
    )


def picture(path: Path) -> np.ndarray:
    image = cv2.imread(str(path))
    assert image is not None
    assert image.std() > 5  # something is drawn
    return image


@pytest.mark.parametrize("score", [0.5, None])
def test_curves_are_drawn_with_and_without_votes_from_the_first_epoch_on(tmp_path: Path, score: float | None) -> None:
    for epochs in (1, 3):
        plots.training_curves([record(epoch + 1, score) for epoch in range(epochs)], tmp_path / "curves.png")
        assert picture(tmp_path / "curves.png").shape[1] > 1000


def test_confusion_reliability_and_counts_are_drawn(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    probabilities, labels = random.dirichlet(np.ones(7), 50), random.integers(0, 7, 50)

    plots.confusion_matrix(np.eye(7, dtype=np.int64) * 9, tmp_path / "confusion.png", title="drawn")
    plots.reliability_diagram(reliability(probabilities, labels), tmp_path / "reliability.png", title="drawn")

    for name in ("confusion.png", "reliability.png"):
        picture(tmp_path / name)


def test_a_sheet_without_faces_is_still_a_picture(tmp_path: Path) -> None:
    plots.face_sheet(np.zeros((0, 48, 48), np.uint8), [], tmp_path / "sheet.png", columns=10, title="nothing was wrong")

    assert cv2.imread(str(tmp_path / "sheet.png")) is not None


def test_the_data_report_draws_counts_and_samples(tmp_path: Path) -> None:
    made = list(write_pictures(make_faces(), tmp_path / "new"))

    assert [path.name for path in made] == ["classes.png", "samples.png"]
    for path in made:
        picture(path)


def test_nothing_half_written_stays(tmp_path: Path) -> None:
    plots.training_curves([record(1)], tmp_path / "curves.png")
    write_history(tmp_path, [record(1)])

    assert sorted(path.name for path in tmp_path.iterdir()) == ["curves.png", "history.json"]


def test_the_best_epoch_is_the_first_of_the_highest_score() -> None:
    assert best_epoch([record(1, 0.4), record(2, 0.6), record(3, 0.6), record(4, 0.5)]) == 1
    assert best_epoch([record(1, None)]) == 0
