"""Pictures of an evaluation: the confusion matrix, the reliability diagram, and what the balance of two heads trades."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ferstream.domain.emotion import LABELS
from ferstream.training import figures
from ferstream.training.evaluation.calibration import BINS, Reliability

_DARK_SHARE = 0.55
"""Cells with a larger share are so dark that their text is white."""


def draw_confusion_matrix(confusion: npt.NDArray[np.int64], path: Path, *, title: str) -> None:
    """Draw counts (7, 7) as a heat map of the shares of each true class; each cell shows its share and its count."""
    figure, axes = figures.new_figure(1, 1, width=7, height=6.2)
    share = confusion / np.maximum(1, confusion.sum(axis=1, keepdims=True))
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(confusion):
        colour = "white" if share[row, column] > _DARK_SHARE else "black"
        text = f"{100 * share[row, column]:.0f} %\n{count}"
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks(range(len(LABELS)), LABELS, rotation=35, ha="right")
    axes.set_yticks(range(len(LABELS)), [f"{label} ({total})" for label, total in zip(LABELS, confusion.sum(axis=1), strict=True)])
    axes.set_xlabel("answer")
    axes.set_ylabel("true class (faces)")
    axes.set_title(title, fontsize=10)
    figure.colorbar(image, ax=axes, fraction=0.046, pad=0.03, label="share of the true class")
    figures.save_figure(figure, path)


def draw_reliability(bins: Reliability, path: Path, *, title: str) -> None:
    """Draw accuracy against confidence over the bins, and below it the share of faces in each bin."""
    figure, (upper, lower) = figures.new_figure(2, 1, width=5.5, height=6.2, heights=[3, 1])
    edges = np.arange(BINS) / BINS
    filled = bins.share > 0
    bars = {"width": 1 / BINS, "align": "edge", "edgecolor": "white"}
    upper.bar(edges[filled], bins.accuracy[filled], color=figures.BLUE, alpha=0.75, label="accuracy", **bars)
    upper.plot(bins.confidence[filled], bins.confidence[filled], color=figures.ORANGE, marker=".", label="perfectly calibrated")
    upper.set_ylabel("accuracy, or share of votes that agree")
    upper.set_title(f"{title}\nECE {bins.error:.3f}", fontsize=10)
    upper.legend(fontsize=8, frameon=False, loc="upper left")
    lower.bar(edges, bins.share, color=figures.GREY, **bars)
    lower.set_ylabel("share of faces")
    lower.set_xlabel("confidence")
    for axes in (upper, lower):
        axes.set_xlim(0, 1)
        axes.grid(alpha=0.25)
    upper.set_ylim(0, 1)
    figures.save_figure(figure, path)


def draw_balance_curves(curves: Mapping[str, Mapping[str, Sequence[float]]], path: Path, *, title: str) -> None:
    """Draw scores over one parameter of the balance in each panel; the parameter's own value is marked.

    Args:
        curves: For each parameter: ``values`` (11 of them), ``chosen`` (one), and the scores ``accuracy``, ``balanced``,
            ``labels``, ``labels_balanced`` at each value, 0..1.
        path: The PNG.
        title: Title of the figure.
    """
    figure, panels = figures.new_figure(1, len(curves), width=5 * len(curves), height=4)
    names = {"votes_prior": "s, share of the vote priors that is removed", "labels": "b, weight of the head of the labels"}
    lines = {
        "accuracy": ("FER+ majority, accuracy", figures.BLUE, "-"),
        "balanced": ("FER+ majority, balanced", figures.BLUE, "--"),
        "labels": ("original labels, accuracy", figures.ORANGE, "-"),
        "labels_balanced": ("original labels, balanced", figures.ORANGE, "--"),
    }
    for axes, (name, curve) in zip(np.atleast_1d(panels), curves.items(), strict=True):
        for score, (label, colour, style) in lines.items():
            axes.plot(curve["values"], [100 * value for value in curve[score]], style, color=colour, marker=".", label=label)
        axes.axvline(curve["chosen"][0], color=figures.LIGHT_GREY, linestyle=":", label="chosen")
        axes.set_xlabel(names.get(name, name))
        axes.set_ylabel("%")
        axes.grid(alpha=0.25)
    np.atleast_1d(panels)[0].legend(fontsize=8, frameon=False)
    figure.suptitle(title, fontsize=10)
    figures.save_figure(figure, path)
