"""The faces a classifier is surest about and wrong: where labels, data or network deserve a look."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from ferstream.domain.emotion import LABELS
from ferstream.training.evaluation import plots
from ferstream.training.evaluation.evaluate import Evaluation

FACES = 40
COLUMNS = 10


def most_confused(result: Evaluation, count: int = FACES) -> npt.NDArray[np.int64]:
    """Return indices of wrongly answered faces, the surest wrong answer first, at most ``count``."""
    answers = result.probabilities.argmax(axis=1)
    wrong = np.flatnonzero(answers != result.truth)
    sureness = result.probabilities[wrong, answers[wrong]]
    return wrong[np.argsort(-sureness, kind="stable")][:count]


def draw_most_confused(result: Evaluation, path: Path, *, title: str) -> None:
    """Draw these faces with truth, answer, its probability and the row they come from."""
    chosen = most_confused(result)
    answers = result.probabilities.argmax(axis=1)
    captions = [
        f"{LABELS[result.truth[i]]}: {LABELS[answers[i]]}\n{100 * result.probabilities[i, answers[i]]:.0f} %  row {result.judged.rows[i]}"
        for i in chosen
    ]
    plots.face_sheet(result.judged.pixels[chosen], captions, path, columns=COLUMNS, title=f"{title}: surest wrong answers (truth: answer)")
