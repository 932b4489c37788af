"""The wrong answers with the highest probability. They show wrong labels, bad pictures, and what the network confuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from ferstream.domain.emotion import LABELS
from ferstream.training import figures
from ferstream.training.evaluation.evaluate import Evaluation

MAX_FACES = 40
COLUMNS = 10


def most_confused(result: Evaluation, count: int = MAX_FACES) -> npt.NDArray[np.int64]:
    """Return the indices of at most ``count`` wrongly answered faces, highest probability of the wrong answer first."""
    answers = result.probabilities.argmax(axis=1)
    wrong = np.flatnonzero(answers != result.truth)
    confidence = result.probabilities[wrong, answers[wrong]]
    return wrong[np.argsort(-confidence, kind="stable")][:count]


def draw_most_confused(result: Evaluation, path: Path, *, title: str) -> None:
    """Draw these faces, each with its true class, the answer, the answer's probability and the row of the data."""
    chosen = most_confused(result)
    answers = result.probabilities.argmax(axis=1)
    captions = [
        f"{LABELS[result.truth[i]]}: {LABELS[answers[i]]}\n{100 * result.probabilities[i, answers[i]]:.0f} %  row {result.faces.rows[i]}"
        for i in chosen
    ]
    title = f"{title}: wrong answers by probability (true class: answer)"
    figures.draw_face_sheet(result.faces.pixels[chosen], captions, path, columns=COLUMNS, title=title)
