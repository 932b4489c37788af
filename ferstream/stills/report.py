"""What ``ferstream predict`` hands out: JSON, and the picture with boxes beside a bar chart for each face."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ferstream.domain.emotion import LABELS
from ferstream.inference.classifier import Classifier
from ferstream.stills.stills import FaceReading, Reading

SCHEMA = "ferstream.predict/1"

COLOURS = ("#1f77b4", "#e8710a", "#2ca02c", "#d62728", "#8e5bc0", "#8c564b", "#d64fa5", "#5f6b6d", "#9c9a1c", "#12a5b8")
"""One colour a face, repeated after ten."""

_MOST_PANELS = 24
_PANELS_A_COLUMN = 4
_PANEL_INCH = (3.1, 1.75)
_MARGIN_INCH = 0.15
_TITLE_INCH = 0.3
_BAR_QUIET = "#c9ced6"


def as_json(readings: Sequence[Reading], classifier: Classifier) -> dict[str, Any]:
    """Return what was read as plain values; boxes to 0.1 pixel, probabilities to 4 places."""
    return {
        "schema": SCHEMA,
        "model": {"name": classifier.name, "version": classifier.version},
        "images": [_image_json(reading) for reading in readings],
    }


def draw(reading: Reading, path: Path) -> Path:
    """Write a PNG: the picture with numbered boxes, and for each face its crop and seven bars."""
    from matplotlib.figure import Figure

    panels = min(len(reading.faces), _MOST_PANELS)
    columns = -(-panels // _PANELS_A_COLUMN)
    height = max(_PANEL_INCH[1] * min(panels, _PANELS_A_COLUMN), 4.2 if panels <= 2 else 5.4)
    aspect = reading.picture.shape[1] / reading.picture.shape[0]
    picture_width = min(max(height * aspect, 2.6), 11.0)
    height = max(min(height, picture_width / aspect), _PANEL_INCH[1] * min(max(panels, 1), _PANELS_A_COLUMN))
    width = picture_width + columns * _PANEL_INCH[0] + 2 * _MARGIN_INCH
    total = height + 2 * _MARGIN_INCH + _TITLE_INCH
    figure = Figure(figsize=(width, total), dpi=120, facecolor="white")
    figure.text(_MARGIN_INCH / width, 1 - 0.16 / total, _title(reading), fontsize=10, weight="bold", va="center")
    axes = figure.add_axes((_MARGIN_INCH / width, _MARGIN_INCH / total, picture_width / width, height / total), anchor="NW")
    _draw_picture(axes, reading)
    for index, face in enumerate(reading.faces[:panels]):
        column, row = divmod(index, _PANELS_A_COLUMN)
        left = _MARGIN_INCH + picture_width + column * _PANEL_INCH[0]
        top = total - _TITLE_INCH - _MARGIN_INCH - row * _PANEL_INCH[1]
        _draw_panel(figure, face, index, left / width, (top - _PANEL_INCH[1]) / total, (width, total))
    figure.savefig(path)
    return path


def _image_json(reading: Reading) -> dict[str, Any]:
    height, width = reading.picture.shape[:2]
    return {"file": str(reading.path), "width": width, "height": height, "faces": [_face_json(face) for face in reading.faces]}


def _face_json(face: FaceReading) -> dict[str, Any]:
    found: dict[str, Any] = {"box": None, "score": None, "landmarks": None}
    if face.face is not None:
        box = face.face.box
        found = {
            "box": [round(value, 1) for value in (box.x, box.y, box.w, box.h)],
            "score": round(face.face.score, 4),
            "landmarks": [[round(x, 1), round(y, 1)] for x, y in face.face.landmarks],
        }
    probabilities = None if face.probabilities is None else {name: round(p, 4) for name, p in zip(LABELS, face.probabilities, strict=True)}
    said = {"label": face.label, "confidence": round(face.confidence, 4), "probabilities": probabilities}
    return {**found, **said, "abstained": None if face.abstained is None else face.abstained.value}


def _title(reading: Reading) -> str:
    count = len(reading.faces)
    text = "no face found" if not count else f"{count} face{'s' if count > 1 else ''}"
    more = f" (the first {_MOST_PANELS} are shown)" if count > _MOST_PANELS else ""
    return f"{reading.path.name}: {text}{more}"


def _draw_picture(axes: Any, reading: Reading) -> None:
    from matplotlib.patches import Rectangle

    axes.imshow(cv2.cvtColor(reading.picture, cv2.COLOR_BGR2RGB), interpolation="lanczos")
    axes.set_axis_off()
    for index, face in enumerate(reading.faces):
        if face.face is None:
            continue
        box, colour = face.face.box, COLOURS[index % len(COLOURS)]
        axes.add_patch(Rectangle((box.x, box.y), box.w, box.h, fill=False, edgecolor="white", linewidth=3.2))
        axes.add_patch(Rectangle((box.x, box.y), box.w, box.h, fill=False, edgecolor=colour, linewidth=1.8))
        label = {"color": "white", "fontsize": 8, "weight": "bold", "clip_on": True}
        style = {"facecolor": colour, "edgecolor": "none", "boxstyle": "round,pad=0.25"}
        axes.text(box.x, box.y, f"{index + 1} {face.label}", va="bottom", ha="left", bbox=style, **label)
    axes.set_xlim(-0.5, reading.picture.shape[1] - 0.5)
    axes.set_ylim(reading.picture.shape[0] - 0.5, -0.5)


def _draw_panel(figure: Any, face: FaceReading, index: int, left: float, bottom: float, size: tuple[float, float]) -> None:
    colour = COLOURS[index % len(COLOURS)]
    width, height = _PANEL_INCH[0] / size[0], _PANEL_INCH[1] / size[1]
    crop_axes = figure.add_axes((left + 0.05 * width, bottom + 0.2 * height, 0.27 * width, 0.56 * height))
    crop_axes.imshow(np.full((48, 48), 235, np.uint8) if face.crop is None else face.crop, cmap="gray", vmin=0, vmax=255)
    crop_axes.set_xticks([])
    crop_axes.set_yticks([])
    for spine in crop_axes.spines.values():
        spine.set_color(colour)
        spine.set_linewidth(2)
    figure.text(
        left + 0.05 * width, bottom + 0.87 * height, _panel_title(face, index), fontsize=9, weight="bold", color=colour, va="center"
    )
    bars = figure.add_axes((left + 0.57 * width, bottom + 0.05 * height, 0.31 * width, 0.74 * height))
    _draw_bars(bars, face, colour)


def _panel_title(face: FaceReading, index: int) -> str:
    why = f" ({face.abstained.value}; would be {face.best})" if face.abstained and face.probabilities else ""
    share = "" if face.abstained or face.probabilities is None else f" {face.confidence:.0%}"
    return f"{index + 1}  {face.label}{share}{why}"


def _draw_bars(axes: Any, face: FaceReading, colour: str) -> None:
    values = face.probabilities or (0.0,) * len(LABELS)
    colours = [colour if name == face.best else _BAR_QUIET for name in LABELS]
    places = np.arange(len(LABELS))
    axes.barh(places, values, color=colours, height=0.72)
    for place, value in zip(places, values, strict=True):
        axes.text(value + 0.03, place, f"{value:.2f}", va="center", fontsize=7, color="#333333")
    axes.set_yticks(places, LABELS, fontsize=7.5)
    axes.set_xlim(0, 1.0)
    axes.set_xticks([])
    axes.invert_yaxis()
    axes.tick_params(length=0)
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)
    axes.spines["left"].set_color(_BAR_QUIET)
