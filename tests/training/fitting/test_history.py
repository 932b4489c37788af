from __future__ import annotations

import pytest

from ferstream.training.fitting.history import EpochRecord, best_epoch, epochs_without_progress


def record(epoch: int, score: float | None, val_loss: float = 1.1) -> EpochRecord:
    return EpochRecord(
        epoch=epoch,
        loss=1.0 / epoch,
        accuracy=0.4,
        val_loss=val_loss,
        val_accuracy=0.45,
        val_majority_accuracy=score,
        learning_rate=1e-3,
        seconds=1.0,
    )


def test_the_best_epoch_has_the_highest_score() -> None:
    assert best_epoch([record(1, 0.4), record(2, 0.6), record(3, 0.5)]) == 1
    assert best_epoch([record(1, None)]) == 0


def test_of_equal_scores_the_lower_validation_loss_is_best() -> None:
    assert best_epoch([record(1, 0.6, 1.2), record(2, 0.6, 1.0), record(3, 0.6, 1.1)]) == 1


def test_of_equal_scores_a_loss_that_is_not_a_number_is_not_best() -> None:
    assert best_epoch([record(1, 0.6, float("nan")), record(2, 0.6, 1.0)]) == 1


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_an_epoch_with_a_loss_that_is_not_finite_is_not_best_with_a_higher_score(loss: float) -> None:
    history = [record(1, 0.5, 1.0), record(2, 0.6, loss)]
    assert best_epoch(history) == 0
    assert epochs_without_progress(history) == 1


def test_a_score_that_is_not_a_number_is_not_best_wherever_it_stands() -> None:
    assert best_epoch([record(1, float("nan")), record(2, 0.1), record(3, float("nan"))]) == 1
    assert best_epoch([record(1, float("nan")), record(2, float("nan"))]) == 0


def test_of_equal_scores_and_losses_the_first_is_best() -> None:
    assert best_epoch([record(1, 0.4), record(2, 0.6), record(3, 0.6)]) == 1


def test_a_lower_loss_at_an_equal_score_is_not_progress() -> None:
    assert epochs_without_progress([record(1, 0.6, 1.2), record(2, 0.6, 1.0), record(3, 0.5, 0.9)]) == 2
    assert epochs_without_progress([]) == 0
