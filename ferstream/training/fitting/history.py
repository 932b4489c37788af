"""What each epoch did, kept in ``history.json`` beside the checkpoints."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

HISTORY = "history.json"


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """What one epoch did: a row of ``history.json``.

    Attributes:
        epoch: 1-based.
        loss: Mean cross entropy over the augmented training faces.
        accuracy: Share of them whose target's best class was found, 0..1.
        val_loss: Cross entropy on the validation faces, against what is taught.
        val_accuracy: Agreement with their original labels, 0..1.
        val_majority_accuracy: Agreement with the FER+ majority, where there is one; None without votes.
        learning_rate: Of the last step.
        seconds: Wall time.
    """

    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    val_majority_accuracy: float | None
    learning_rate: float
    seconds: float

    @property
    def score(self) -> float:
        """What the best epoch is best in: agreement with the labels that were taught."""
        return self.val_accuracy if self.val_majority_accuracy is None else self.val_majority_accuracy


def best_epoch(history: Sequence[EpochRecord]) -> int:
    """Return the index of the first epoch with the highest score."""
    return max(range(len(history)), key=lambda index: (history[index].score, -index))


def write_history(folder: Path, history: Sequence[EpochRecord]) -> Path:
    """Write ``history.json`` in one step; half a file is never seen."""
    path = folder / HISTORY
    beside = path.with_name(path.name + ".part")
    beside.write_text(json.dumps([asdict(record) for record in history], indent=1) + "\n", encoding="utf-8")
    beside.replace(path)
    return path
