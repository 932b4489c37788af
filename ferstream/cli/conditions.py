"""The part of ``ferstream evaluate`` that draws conditions: runs them, prints their table, draws their curves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from ferstream.training.evaluation.answers import Classify
    from ferstream.training.evaluation.conditions import ConditionScore
    from ferstream.training.evaluation.evaluate import Evaluation


def run_conditions(classify: Classify, result: Evaluation, *, most: int, seed: int) -> list[ConditionScore]:
    """Measure a classifier on drawn conditions of the faces that were evaluated.

    Args:
        classify: The classifier.
        result: The evaluation of the faces as they are.
        most: Largest number of faces, taken evenly; 0 for all.
        seed: Draws what is random.
    """
    import numpy as np

    from ferstream.training.evaluation.conditions import evaluate_conditions

    rows = np.arange(len(result.truth))
    if most and most < len(rows):
        rows = rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]
    pixels, truth = result.faces.pixels[rows], result.truth[rows]
    return evaluate_conditions(classify, pixels, truth, seed=seed, on_condition=lambda name: typer.echo(f"drawing: {name}", err=True))


def print_conditions(scores: Sequence[ConditionScore]) -> None:
    """Print a table with a row for each condition and strength."""
    from rich.console import Console
    from rich.table import Table

    from ferstream.training.evaluation.conditions import CONDITIONS, SURE

    units = {condition.name: condition.unit for condition in CONDITIONS}
    table = Table(title=f"Drawn conditions of {scores[0].rows} faces; wrong and sure: confidence > {SURE}, per hundred faces")
    for column in ("condition", "strength", "labelled", "accuracy", "balanced", "wrong and sure", "unknown because"):
        table.add_column(column, justify="left" if column in {"condition", "unknown because"} else "right")
    for score in scores:
        name = f"{score.condition} ({units[score.condition]})" if units.get(score.condition) else score.condition
        because = ", ".join(f"{reason} {100 * count / score.rows:.0f} %" for reason, count in score.abstained.items())
        rates = (_percent(value) for value in (score.coverage, score.accuracy, score.balanced_accuracy))
        strength = f"{score.strength:g}" if units.get(score.condition) else ""
        table.add_row(name, strength, *rates, f"{score.wrong_and_sure:.2f}", because)
    Console().print(table)


def draw_conditions(scores: Sequence[ConditionScore], folder: Path, *, title: str) -> None:
    """Draw the curves of all conditions into ``conditions.png``."""
    from ferstream.cli.outputs import writing
    from ferstream.training.evaluation.condition_plot import draw_condition_curves

    with writing(folder):
        draw_condition_curves(scores, folder / "conditions.png", title=title)
    typer.echo(f"picture: {folder / 'conditions.png'}")


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.1f} %"
