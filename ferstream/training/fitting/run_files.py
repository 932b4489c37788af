"""Files that a run writes for people after each epoch: ``history.json``, ``curves.png`` and TensorBoard events."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ferstream.training import figures
from ferstream.training.fitting.history import EpochRecord, best_epoch

HISTORY = "history.json"
CURVES = "curves.png"
TENSORBOARD = "tensorboard"


def write_run_files(folder: Path, history: Sequence[EpochRecord]) -> None:
    """Write ``history.json`` and ``curves.png`` of the whole run."""
    write_history(folder, history)
    draw_curves(history, folder / CURVES)


def write_history(folder: Path, history: Sequence[EpochRecord]) -> Path:
    """Write ``history.json``; the file is renamed into place when it is complete."""
    path = folder / HISTORY
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_text(json.dumps([asdict(record) for record in history], indent=1) + "\n", encoding="utf-8")
    unfinished.replace(path)
    return path


def log_tensorboard(folder: Path, record: EpochRecord) -> bool:
    """Write one epoch's numbers under ``folder``/tensorboard; return False where tensorboard is not installed.

    Each epoch gets an event file of its own, closed at once, so that a killed run loses no epoch.
    """
    try:
        from tensorboard.summary import Writer  # type: ignore[import-untyped]
    except ImportError:
        return False
    values = {
        "loss/training": record.loss,
        "loss/validation": record.val_loss,
        "accuracy/training": record.accuracy,
        "accuracy/validation": record.val_accuracy,
        "accuracy/validation_majority": record.val_majority_accuracy,
        "learning_rate": record.learning_rate,
    }
    writer = Writer(str(folder / TENSORBOARD))
    for tag, value in values.items():
        if value is not None:
            writer.add_scalar(tag, value, record.epoch)
    writer.close()
    return True


def draw_curves(history: Sequence[EpochRecord], path: Path) -> None:
    """Draw loss and accuracy by epoch, with the best epoch marked."""
    figure, (left, right) = figures.new_figure(1, 2, width=10, height=4)
    epochs = [record.epoch for record in history]
    left.plot(epochs, [record.loss for record in history], color=figures.GREY, marker=".", label="training (augmented)")
    left.plot(epochs, [record.val_loss for record in history], color=figures.BLUE, marker=".", label="validation")
    left.set_ylabel("cross entropy")
    right.plot(epochs, [100 * record.accuracy for record in history], color=figures.GREY, marker=".", label="training (augmented)")
    on_labels = [100 * record.val_accuracy for record in history]
    right.plot(epochs, on_labels, color=figures.BLUE, marker=".", label="validation, original labels")
    on_majority = [100 * value for record in history if (value := record.val_majority_accuracy) is not None]
    if len(on_majority) == len(history):
        right.plot(epochs, on_majority, color=figures.ORANGE, marker=".", label="validation, FER+ majority")
    right.set_ylabel("accuracy, %")
    best = history[best_epoch(history)]
    for axes in (left, right):
        axes.axvline(best.epoch, color=figures.LIGHT_GREY, linestyle=":", label=f"best epoch ({best.epoch})")
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.25)
        axes.legend(fontsize=8, frameon=False)
    figures.save_figure(figure, path)
