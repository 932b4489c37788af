"""Draw a still with numbered boxes, and for each face its crop and a bar chart of its seven probabilities."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ferstream.domain.emotion import LABELS
from ferstream.domain.face import FACE_SIZE_PX
from ferstream.runtime.printable import printable
from ferstream.stills.analysis import FaceResult, PictureResult
from ferstream.stills.face_labels import add_labels
from ferstream.stills.layout import MARGIN_INCH, MAX_PANELS, Layout, Place, layout_for
from ferstream.stills.pictures import Picture

COLOURS = ("#1f77b4", "#e8710a", "#2ca02c", "#d62728", "#8e5bc0", "#8c564b", "#d64fa5", "#5f6b6d", "#9c9a1c", "#12a5b8")
"""One colour a face, repeated after ten."""

_DPI = 120
_TITLE_POINTS = 10
_OTHER_BAR = "#c9ced6"
_PLAIN: dict[str, Any] = {"parse_math": False, "usetex": False}
"""Text in which a dollar sign is a dollar sign: names of files may hold anything."""


def draw(result: PictureResult, path: Path) -> Path:
    """Write a PNG of the picture and a panel for each face, at most 24, those with the highest score; return ``path``."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = _shown(result)
    layout = layout_for(len(shown), result.picture.shape[1] / result.picture.shape[0])
    figure = Figure(figsize=(layout.width, layout.height), dpi=_DPI, facecolor="white")
    canvas: Any = FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a name may have letters that the font has not
        _draw_title(figure, canvas.get_renderer(), result, len(shown))
        _draw_picture(figure, canvas.get_renderer(), result, layout)
        for index, place in zip(shown, layout.panels, strict=True):
            _draw_panel(figure, result.faces[index], index, _Panel(layout, place))
        figure.savefig(path, format="png")
    return path


def _shown(result: PictureResult) -> Sequence[int]:
    """Return the numbers, from 0, of the faces that get a panel."""
    scores = [face.face.score if face.face is not None else 1.0 for face in result.faces]
    best = sorted(range(len(scores)), key=lambda index: -scores[index])[:MAX_PANELS]
    return sorted(best)


def _draw_title(figure: Any, renderer: Any, result: PictureResult, shown: int) -> None:
    """Write the name of the file, shortened in its middle to the width of the drawing, and the number of faces."""
    width, height = figure.get_size_inches()
    name, rest = printable(result.path.name), f": {_count(len(result.faces), shown)}"
    title = figure.text(MARGIN_INCH / width, 1 - 0.16 / height, name + rest, fontsize=_TITLE_POINTS, weight="bold", va="center", **_PLAIN)
    room = (width - 2 * MARGIN_INCH) * _DPI
    kept = len(name)
    while kept > 2 and title.get_window_extent(renderer).width > room:
        kept -= max(1, kept // 16)
        title.set_text(f"{name[: -(-kept // 2)]}\N{HORIZONTAL ELLIPSIS}{name[len(name) - kept // 2 :]}{rest}")


def _count(faces: int, shown: int) -> str:
    text = "no face found" if not faces else f"{faces} face{'s' if faces > 1 else ''}"
    return f"{text} ({shown} of them shown in detail)" if shown < faces else text


def _draw_picture(figure: Any, renderer: Any, result: PictureResult, layout: Layout) -> None:
    from matplotlib.patches import Rectangle

    height, width = result.picture.shape[:2]
    axes = figure.add_axes(_fractions(layout.picture, layout), anchor="NW")
    small = _shrunk(result.picture, layout)
    axes.imshow(cv2.cvtColor(small, cv2.COLOR_BGR2RGB), interpolation="lanczos", extent=(-0.5, width - 0.5, height - 0.5, -0.5))
    axes.set_axis_off()
    axes.set_xlim(-0.5, width - 0.5)
    axes.set_ylim(height - 0.5, -0.5)
    axes.apply_aspect()
    numbered = [(index, face) for index, face in enumerate(result.faces) if face.face is not None]
    thin = 0.5 if len(numbered) > MAX_PANELS else 1.0
    for index, face in numbered:
        assert face.face is not None
        box = face.face.box
        axes.add_patch(Rectangle((box.x, box.y), box.w, box.h, edgecolor="white", linewidth=3.2 * thin, fill=False))
        axes.add_patch(Rectangle((box.x, box.y), box.w, box.h, edgecolor=_colour(index), linewidth=1.8 * thin, fill=False))
    add_labels(axes, renderer, [(f"{index + 1}", face, _colour(index)) for index, face in numbered])


def _shrunk(picture: Picture, layout: Layout) -> Picture:
    """Return the picture at up to twice the size it is drawn in: matplotlib would need 30 bytes for each pixel."""
    height, width = picture.shape[:2]
    factor = 2 * _DPI * max(layout.picture.width / width, layout.picture.height / height)
    if factor >= 1:
        return picture
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


class _Panel:
    """The place of one panel in a drawing."""

    def __init__(self, layout: Layout, place: Place) -> None:
        self._layout = layout
        self._place = place

    def part(self, left: float, bottom: float, width: float = 0.0, height: float = 0.0) -> tuple[float, float, float, float]:
        """Return a part of the panel, given in fractions of the panel, in fractions of the drawing."""
        place = self._place
        inches = Place(place.left + left * place.width, place.bottom + bottom * place.height, width * place.width, height * place.height)
        return _fractions(inches, self._layout)


def _fractions(place: Place, layout: Layout) -> tuple[float, float, float, float]:
    return place.left / layout.width, place.bottom / layout.height, place.width / layout.width, place.height / layout.height


def _draw_panel(figure: Any, face: FaceResult, index: int, panel: _Panel) -> None:
    _draw_crop(figure.add_axes(panel.part(0.05, 0.2, 0.27, 0.56)), face, _colour(index))
    left, bottom, _, _ = panel.part(0.05, 0.87)
    figure.text(left, bottom, _panel_title(face, index), fontsize=9, weight="bold", color=_colour(index), va="center", **_PLAIN)
    _draw_bars(figure.add_axes(panel.part(0.57, 0.05, 0.31, 0.74)), face, _colour(index))


def _colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]


def _draw_crop(axes: Any, face: FaceResult, colour: str) -> None:
    empty = np.full((FACE_SIZE_PX, FACE_SIZE_PX), 235, np.uint8)
    axes.imshow(empty if face.crop is None else face.crop, cmap="gray", vmin=0, vmax=255)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(colour)
        spine.set_linewidth(2)


def _panel_title(face: FaceResult, index: int) -> str:
    return f"{index + 1}  {face.label}" + (f" ({face.reason})" if face.abstained else f" {face.confidence:.0%}")


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
