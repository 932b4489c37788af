"""The labels beside the boxes of a drawing: the largest text with which no label covers another one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ferstream.stills.analysis import FaceResult
from ferstream.stills.labels import Area, place_labels

_ATTEMPTS = ((8.0, True, False), (6.5, True, False), (7.0, False, False), (5.5, False, False), (6.0, False, True), (4.0, False, True))
"""Size of the text in points, whether it names the expression, whether it may be away from its face. The last one is kept anyway."""


def add_labels(axes: Any, renderer: Any, faces: Sequence[tuple[str, FaceResult, str]]) -> None:
    """Add a label for each face: its number, and its expression where there is room for it.

    Args:
        axes: The axes with the picture, in pixels of the picture.
        renderer: Measures text.
        faces: Number, result and colour of each face that has a box.
    """
    if not faces:
        return
    boxes = [_on_drawing(axes, face) for _, face, _ in faces]
    inside = _from_matplotlib(axes.get_window_extent(renderer), axes.figure)
    for points, named, far in _ATTEMPTS:
        texts = [_text(axes, f"{number} {face.label}" if named else number, colour, points) for number, face, colour in faces]
        sizes = [_size(text, renderer) for text in texts]
        places = place_labels(boxes, sizes, inside, far=far)
        if None not in places or (points, named, far) == _ATTEMPTS[-1]:
            for text, place, box in zip(texts, places, boxes, strict=True):
                _put(axes, text, place, box)
            return
        for text in texts:
            text.remove()


def _text(axes: Any, text: str, colour: str, points: float) -> Any:
    from matplotlib.transforms import IdentityTransform

    style = {"facecolor": colour, "edgecolor": "none", "boxstyle": "round,pad=0.25"}
    label = {"color": "white", "weight": "bold", "va": "bottom", "ha": "left", "zorder": 5}
    return axes.text(0, 0, text, bbox=style, fontsize=points, transform=IdentityTransform(), **label)


def _size(text: Any, renderer: Any) -> tuple[float, float]:
    text.update_bbox_position_size(renderer)
    extent = text.get_bbox_patch().get_window_extent(renderer)
    return extent.width, extent.height


def _put(axes: Any, text: Any, place: Area | None, box: Area) -> None:
    """Move a label to its place, with a line to its face if it does not touch it; remove it if there is no place for it."""
    from matplotlib.lines import Line2D
    from matplotlib.transforms import IdentityTransform

    if place is None:
        text.remove()
        return
    height = axes.figure.bbox.height
    pad = 0.25 * text.get_fontsize() * axes.figure.dpi / 72
    text.set_position((place.left + pad, height - (place.top + place.height) + pad))
    ends = list(_line(place, box))
    if ends:
        (x1, y1), (x2, y2) = ends
        colour = text.get_bbox_patch().get_facecolor()
        axes.add_line(Line2D([x1, x2], [height - y1, height - y2], color=colour, linewidth=0.8, transform=IdentityTransform(), zorder=4))


def _line(place: Area, box: Area) -> Iterator[tuple[float, float]]:
    """Yield both ends of the line from a label to its face; nothing if they are closer than three pixels."""
    left, top, right, bottom = box.corners
    x, y = place.left + place.width / 2, place.top + place.height / 2
    near_x, near_y = min(max(x, left), right), min(max(y, top), bottom)
    if abs(near_x - x) - place.width / 2 > 3 or abs(near_y - y) - place.height / 2 > 3:
        yield x, y
        yield near_x, near_y


def _on_drawing(axes: Any, face: FaceResult) -> Area:
    assert face.face is not None
    box = face.face.box
    (left, upper), (right, lower) = axes.transData.transform([(box.x, box.y), (box.x + box.w, box.y + box.h)])
    height = axes.figure.bbox.height
    return Area(left, height - upper, right - left, upper - lower)


def _from_matplotlib(extent: Any, figure: Any) -> Area:
    return Area(extent.x0, figure.bbox.height - extent.y1, extent.width, extent.height)
