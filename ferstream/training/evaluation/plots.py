"""Pictures for people: training curves, confusion, reliability, faces. Drawn without a display."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ferstream.domain.emotion import LABELS
from ferstream.training.evaluation.calibration import BINS, Reliability
from ferstream.training.fitting.history import EpochRecord, best_epoch

_DPI = 120
_TRAIN, _VALID, _EXTRA, _BEST = "#7a7a7a", "#1f5fa8", "#c0562f", "#b0b0b0"
_DARK_SHARE = 0.55


def training_curves(history: Sequence[EpochRecord], path: Path) -> None:
    """Draw loss and accuracy by epoch, with the best epoch marked."""
    figure, (left, right) = _figure(1, 2, width=10, height=4)
    epochs = [record.epoch for record in history]
    left.plot(epochs, [record.loss for record in history], color=_TRAIN, marker=".", label="training (augmented)")
    left.plot(epochs, [record.val_loss for record in history], color=_VALID, marker=".", label="validation")
    left.set_ylabel("cross entropy")
    right.plot(epochs, [100 * record.accuracy for record in history], color=_TRAIN, marker=".", label="training (augmented)")
    right.plot(epochs, [100 * record.val_accuracy for record in history], color=_VALID, marker=".", label="validation, original labels")
    voted = [record.val_majority_accuracy for record in history]
    if all(value is not None for value in voted):
        agreed = [100 * value for value in voted if value is not None]
        right.plot(epochs, agreed, color=_EXTRA, marker=".", label="validation, FER+ majority")
    right.set_ylabel("accuracy, %")
    best = history[best_epoch(history)]
    for axes in (left, right):
        axes.axvline(best.epoch, color=_BEST, linestyle=":", label=f"best epoch ({best.epoch})")
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.25)
        axes.legend(fontsize=8, frameon=False)
    _save(figure, path)


def confusion_matrix(confusion: npt.NDArray[np.int64], path: Path, *, title: str) -> None:
    """Draw counts (7, 7) as a heat map of each true class's shares, with shares and counts written in."""
    figure, axes = _figure(1, 1, width=7, height=6.2)
    share = confusion / np.maximum(1, confusion.sum(axis=1, keepdims=True))
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(confusion):
        colour = "white" if share[row, column] > _DARK_SHARE else "black"
        text = f"{100 * share[row, column]:.0f} %\n{count}"
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks(range(len(LABELS)), LABELS, rotation=35, ha="right")
    axes.set_yticks(range(len(LABELS)), [f"{label} ({total})" for label, total in zip(LABELS, confusion.sum(axis=1), strict=True)])
    axes.set_xlabel("answer")
    axes.set_ylabel("truth (faces)")
    axes.set_title(title, fontsize=10)
    figure.colorbar(image, ax=axes, fraction=0.046, pad=0.03, label="share of the true class")
    _save(figure, path)


def reliability_diagram(bins: Reliability, path: Path, *, title: str) -> None:
    """Draw accuracy against confidence over the bins, with the share of faces in each below."""
    figure, (upper, lower) = _figure(2, 1, width=5.5, height=6.2, heights=[3, 1])
    edges = np.arange(BINS) / BINS
    filled = bins.share > 0
    bars = {"width": 1 / BINS, "align": "edge", "edgecolor": "white"}
    upper.bar(edges[filled], bins.accuracy[filled], color=_VALID, alpha=0.75, label="accuracy", **bars)
    upper.plot(bins.confidence[filled], bins.confidence[filled], color=_EXTRA, marker=".", label="perfectly calibrated")
    upper.set_ylabel("accuracy")
    upper.set_title(f"{title}\nECE {bins.error:.3f}", fontsize=10)
    upper.legend(fontsize=8, frameon=False, loc="upper left")
    lower.bar(edges, bins.share, color=_TRAIN, **bars)
    lower.set_ylabel("share of faces")
    lower.set_xlabel("confidence")
    for axes in (upper, lower):
        axes.set_xlim(0, 1)
        axes.grid(alpha=0.25)
    upper.set_ylim(0, 1)
    _save(figure, path)


def class_counts(counts: dict[str, npt.NDArray[np.int64]], path: Path) -> None:
    """Draw faces by class and split, (7,) counts a split, as bars with their numbers."""
    figure, axes = _figure(1, 1, width=9, height=4.2)
    width = 0.8 / max(1, len(counts))
    for place, (usage, values) in enumerate(counts.items()):
        offset = (place - (len(counts) - 1) / 2) * width
        bars = axes.bar(np.arange(len(LABELS)) + offset, values, width=width, label=f"{usage} ({values.sum()})")
        axes.bar_label(bars, fontsize=7, padding=1)
    axes.set_xticks(range(len(LABELS)), LABELS)
    axes.set_ylabel("faces")
    axes.legend(frameon=False, fontsize=9)
    axes.grid(axis="y", alpha=0.25)
    axes.set_axisbelow(True)
    _save(figure, path)


def face_sheet(faces: npt.NDArray[np.uint8], captions: Sequence[str], path: Path, *, columns: int, title: str) -> None:
    """Draw faces (N, 48, 48) in rows of ``columns``, each with its caption above."""
    rows = max(1, -(-len(faces) // columns))
    figure, grid = _figure(rows, columns, width=1.25 * columns, height=1.55 * rows + 0.5)
    cells = np.atleast_1d(np.asarray(grid, dtype=object)).ravel()
    for axes in cells:
        axes.set_axis_off()
    for axes, face, caption in zip(cells, faces, captions, strict=False):
        axes.imshow(face, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axes.set_title(caption, fontsize=7, pad=2)
    figure.suptitle(title, fontsize=10)
    _save(figure, path)


def _figure(rows: int, columns: int, *, width: float, height: float, heights: Sequence[float] | None = None) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, height_ratios=heights)


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.stem}.part.png")
    figure.savefig(beside, dpi=_DPI)
    beside.replace(path)
