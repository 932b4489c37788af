"""The curves of ``ferstream evaluate --conditions``: a panel for each condition, and one for what covers a face."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ferstream.training import figures
from ferstream.training.evaluation.conditions import CONDITIONS, SURE, ConditionScore

_COLUMNS = 5


def draw_condition_curves(scores: Sequence[ConditionScore], path: Path, *, title: str) -> None:
    """Draw accuracy, coverage, and wrong-and-sure faces of each condition over its strength.

    Args:
        scores: What ``evaluate_conditions`` returned.
        path: The PNG.
        title: Title of the figure.
    """
    units = {condition.name: condition.unit for condition in CONDITIONS}
    graded = [name for name in dict.fromkeys(score.condition for score in scores) if units.get(name)]
    single = [score for score in scores if score.condition not in graded]
    rows = max(1, -(-(len(graded) + 1) // _COLUMNS))
    figure, grid = figures.new_figure(rows, _COLUMNS, width=3.3 * _COLUMNS, height=2.9 * rows + 0.6)
    panels = list(np.atleast_1d(np.asarray(grid, dtype=object)).ravel())
    for axes, name in zip(panels, graded, strict=False):
        _draw_curve(axes, [score for score in scores if score.condition == name])
        axes.set_title(name, fontsize=10)
        axes.set_xlabel(units[name], fontsize=8)
    _draw_single(panels[len(graded)], single)
    for axes in panels[len(graded) + 1 :]:
        axes.set_axis_off()
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), fontsize=9, frameon=False)
    figure.suptitle(title, fontsize=11)
    figures.save_figure(figure, path)


def _series(scores: Sequence[ConditionScore]) -> tuple[tuple[str, str, str, list[float]], ...]:
    return (
        ("labelled faces, % of all", figures.GREY, "--", [100 * score.coverage for score in scores]),
        ("accuracy of the labelled faces, %", figures.BLUE, "-", [100 * score.accuracy for score in scores]),
        (f"wrong with a confidence > {SURE}, per 100 faces", figures.ORANGE, "-", [score.wrong_and_sure for score in scores]),
    )


def _draw_curve(axes: Any, scores: Sequence[ConditionScore]) -> None:
    places = range(len(scores))
    for label, colour, style, values in _series(scores):
        axes.plot(places, values, style, color=colour, marker=".", label=label)
    axes.set_xticks(places, [f"{score.strength:g}" for score in scores], fontsize=8)
    axes.set_ylim(-3, 103)
    axes.grid(alpha=0.25)


def _draw_single(axes: Any, scores: Sequence[ConditionScore]) -> None:
    """Draw conditions without a strength as bars."""
    for index, (_, colour, _, values) in enumerate(_series(scores)):
        axes.bar(np.arange(len(scores)) + 0.27 * (index - 1), np.nan_to_num(values), width=0.25, color=colour)
    axes.set_xticks(range(len(scores)), [score.condition for score in scores], rotation=40, ha="right", fontsize=8)
    axes.set_ylim(-3, 103)
    axes.set_title("covered, and clean", fontsize=10)
    axes.grid(alpha=0.25, axis="y")
