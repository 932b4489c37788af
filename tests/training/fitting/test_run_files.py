from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest

from ferstream.training.fitting.history import EpochRecord
from ferstream.training.fitting.run_files import log_tensorboard, write_run_files


def record(epoch: int, majority: float | None = 0.5) -> EpochRecord:
    return EpochRecord(
        epoch=epoch,
        loss=1.0 / epoch,
        accuracy=0.4,
        val_loss=1.1,
        val_accuracy=0.45,
        val_majority_accuracy=majority,
        learning_rate=1e-3,
        seconds=1.0,
    )


@pytest.mark.parametrize("majority", [0.5, None])
@pytest.mark.parametrize("epochs", [1, 3])
def test_history_and_curves_are_written_without_leftovers(tmp_path: Path, majority: float | None, epochs: int) -> None:
    write_run_files(tmp_path, [record(epoch + 1, majority) for epoch in range(epochs)])

    assert sorted(path.name for path in tmp_path.iterdir()) == ["curves.png", "history.json"]
    assert [row["epoch"] for row in json.loads((tmp_path / "history.json").read_text())] == list(range(1, epochs + 1))
    picture = cv2.imread(str(tmp_path / "curves.png"))
    assert picture is not None
    assert picture.shape[1] > 1000
    assert picture.std() > 5


def test_tensorboard_reads_the_numbers_of_each_epoch(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer  # type: ignore[import-untyped]
    from tensorboard.util.tensor_util import make_ndarray  # type: ignore[import-untyped]

    assert log_tensorboard(tmp_path, record(1))
    assert log_tensorboard(tmp_path, record(2, None))

    assert len(list((tmp_path / "tensorboard").iterdir())) == 2
    read = EventMultiplexer().AddRunsFromDirectory(str(tmp_path)).Reload()
    losses = [(event.step, float(make_ndarray(event.tensor_proto))) for event in read.Tensors("tensorboard", "loss/training")]
    assert losses == [(1, 1.0), (2, 0.5)]
    assert len(read.Tensors("tensorboard", "accuracy/validation_majority")) == 1
