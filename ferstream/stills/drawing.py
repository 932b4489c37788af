"""Draw a still with numbered boxes, and for each face its crop and a bar chart of its seven probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ferstream.domain.emotion import LABELS
from ferstream.domain.face import FACE_SIZE_PX
from ferstream.stills.analysis import FaceResult, PictureResult

COLOURS = ("#1f77b4", "#e8710a", "#2ca02c", "#d62728", "#8e5bc0", "#8c564b", "#d64fa5", "#5f6b6d", "#9c9a1c", "#12a5b8")
"""One colour a face, repeated after ten."""

_MAX_PANELS = 24
_PANELS_PER_COLUMN = 4
_PANEL_INCH = (3.1, 1.75)
_MARGIN_INCH = 0.15
_TITLE_INCH = 0.3
_OTHER_BAR = "#c9ced6"


@dataclass(frozen=True, slots=True)
class _Layout:
    """Sizes of a drawing in inches: the whole figure, and the picture at its left."""

    width: float
    height: float
    picture_width: float
    picture_height: float


def draw(result: PictureResult, path: Path) -> Path:
    """Write a PNG of the picture and a panel for each face, at most 24; return ``path``."""
    from matplotlib.figure import Figure

    panels = min(len(result.faces), _MAX_PANELS)
    layout = _layout(panels, result.picture.shape[1] / result.picture.shape[0])
    figure = Figure(figsize=(layout.width, layout.height), dpi=120, facecolor="white")
    figure.text(_MARGIN_INCH / layout.width, 1 - 0.16 / layout.height, _title(result), fontsize=10, weight="bold", va="center")
    place = (
        _MARGIN_INCH / layout.width,
        _MARGIN_INCH / layout.height,
        layout.picture_width / layout.width,
        layout.picture_height / layout.height,
    )
    _draw_picture(figure.add_axes(place, anchor="NW"), result)
    for index, face in enumerate(result.faces[:panels]):
        _draw_panel(figure, face, index, layout)
    figure.savefig(path)
    return path


def _layout(panels: int, aspect: float) -> _Layout:
    """Return the sizes for a number of panels and a picture of ``aspect`` = width / height."""
    columns = -(-panels // _PANELS_PER_COLUMN)
    rows = min(panels, _PANELS_PER_COLUMN)
    height = max(_PANEL_INCH[1] * rows, 4.2 if panels <= 2 else 5.4)
    picture_width = min(max(height * aspect, 2.6), 11.0)
    height = max(min(height, picture_width / aspect), _PANEL_INCH[1] * max(rows, 1))
    return _Layout(
        width=picture_width + columns * _PANEL_INCH[0] + 2 * _MARGIN_INCH,
        height=height + 2 * _MARGIN_INCH + _TITLE_INCH,
        picture_width=picture_width,
        picture_height=height,
    )


def _title(result: PictureResult) -> str:
    count = len(result.faces)
    text = "no face found" if not count else f"{count} face{'s' if count > 1 else ''}"
    more = f" (the first {_MAX_PANELS} are shown)" if count > _MAX_PANELS else ""
    return f"{result.path.name}: {text}{more}"


def _draw_picture(axes: Any, result: PictureResult) -> None:
    from matplotlib.patches import Rectangle

    axes.imshow(cv2.cvtColor(result.picture, cv2.COLOR_BGR2RGB), interpolation="lanczos")
    axes.set_axis_off()
    for index, face in enumerate(result.faces):
        if face.face is None:
            continue
        box, colour = face.face.box, COLOURS[index % len(COLOURS)]
        axes.add_patch(Rectangle((box.x, box.y), box.w, box.h, fill=False, edgecolor="white", linewidth=3.2))
        axes.add_patch(Rectangle((box.x, box.y), box.w, box.h, fill=False, edgecolor=colour, linewidth=1.8))
        label = {"color": "white", "fontsize": 8, "weight": "bold", "clip_on": True}
        style = {"facecolor": colour, "edgecolor": "none", "boxstyle": "round,pad=0.25"}
        axes.text(box.x, box.y, f"{index + 1} {face.label}", va="bottom", ha="left", bbox=style, **label)
    axes.set_xlim(-0.5, result.picture.shape[1] - 0.5)
    axes.set_ylim(result.picture.shape[0] - 0.5, -0.5)


def _draw_panel(figure: Any, face: FaceResult, index: int, layout: _Layout) -> None:
    column, row = divmod(index, _PANELS_PER_COLUMN)
    width, height = _PANEL_INCH[0] / layout.width, _PANEL_INCH[1] / layout.height
    left = (_MARGIN_INCH + layout.picture_width + column * _PANEL_INCH[0]) / layout.width
    bottom = (layout.height - _TITLE_INCH - _MARGIN_INCH - (row + 1) * _PANEL_INCH[1]) / layout.height
    colour = COLOURS[index % len(COLOURS)]
    _draw_crop(figure.add_axes((left + 0.05 * width, bottom + 0.2 * height, 0.27 * width, 0.56 * height)), face, colour)
    title = {"fontsize": 9, "weight": "bold", "color": colour, "va": "center"}
    figure.text(left + 0.05 * width, bottom + 0.87 * height, _panel_title(face, index), **title)
    _draw_bars(figure.add_axes((left + 0.57 * width, bottom + 0.05 * height, 0.31 * width, 0.74 * height)), face, colour)


def _draw_crop(axes: Any, face: FaceResult, colour: str) -> None:
    empty = np.full((FACE_SIZE_PX, FACE_SIZE_PX), 235, np.uint8)
    axes.imshow(empty if face.crop is None else face.crop, cmap="gray", vmin=0, vmax=255)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(colour)
        spine.set_linewidth(2)


def _panel_title(face: FaceResult, index: int) -> str:
    reason = f" ({face.abstained.value}; would be {face.best})" if face.abstained and face.probabilities else ""
    share = "" if face.abstained or face.probabilities is None else f" {face.confidence:.0%}"
    return f"{index + 1}  {face.label}{share}{reason}"


def _draw_bars(axes: Any, face: FaceResult, colour: str) -> None:
    values = face.probabilities or (0.0,) * len(LABELS)
    colours = [colour if name == face.best else _OTHER_BAR for name in LABELS]
    rows = np.arange(len(LABELS))
    axes.barh(rows, values, color=colours, height=0.72)
    for row, value in zip(rows, values, strict=True):
        axes.text(value + 0.03, row, f"{value:.2f}", va="center", fontsize=7, color="#333333")
    axes.set_yticks(rows, LABELS, fontsize=7.5)
    axes.set_xlim(0, 1.0)
    axes.set_xticks([])
    axes.invert_yaxis()
    axes.tick_params(length=0)
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)
    axes.spines["left"].set_color(_OTHER_BAR)
