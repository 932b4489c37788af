"""Matplotlib figures without a display, written to PNG files; and a sheet of faces with captions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

GREY, BLUE, ORANGE, LIGHT_GREY = "#7a7a7a", "#1f5fa8", "#c0562f", "#b0b0b0"
_DPI = 120


def new_figure(rows: int, columns: int, *, width: float, height: float, heights: Sequence[float] | None = None) -> tuple[Figure, Any]:
    """Return a figure and its grid of axes.

    Args:
        rows: Rows of axes.
        columns: Columns of axes.
        width: Of the figure, in inches.
        height: Of the figure, in inches.
        heights: Relative height of each row; None makes them equal.
    """
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, height_ratios=heights)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a PNG; the file is renamed into place when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.stem}.part.png")
    figure.savefig(unfinished, dpi=_DPI)
    unfinished.replace(path)


def draw_face_sheet(faces: npt.NDArray[np.uint8], captions: Sequence[str], path: Path, *, columns: int, title: str) -> None:
    """Draw faces (N, 48, 48) uint8 in rows of ``columns``, each with its caption above."""
    rows = max(1, -(-len(faces) // columns))
    figure, grid = new_figure(rows, columns, width=1.25 * columns, height=1.55 * rows + 0.5)
    cells = np.atleast_1d(np.asarray(grid, dtype=object)).ravel()
    for axes in cells:
        axes.set_axis_off()
    for axes, face, caption in zip(cells, faces, captions, strict=False):
        axes.imshow(face, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axes.set_title(caption, fontsize=7, pad=2)
    figure.suptitle(title, fontsize=10)
    save_figure(figure, path)
