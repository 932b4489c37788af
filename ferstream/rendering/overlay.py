"""Draws faces into a picture: box, five points, label, the probabilities as bars, and the last seconds as a strip. One thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ferstream.domain.emotion import LABELS, UNKNOWN
from ferstream.domain.face import Box
from ferstream.rendering.canvas import Canvas, Rgb
from ferstream.rendering.findings import STRIP_S, ShownFace

COLOURS: dict[str, Rgb] = {
    "angry": (230, 75, 60),
    "disgust": (176, 160, 50),
    "fear": (160, 120, 220),
    "happy": (250, 185, 40),
    "sad": (80, 150, 240),
    "surprise": (45, 200, 150),
    "neutral": (190, 195, 205),
    UNKNOWN: (125, 130, 138),
}
"""Colour of each label."""

_DARK, _LIGHT = (12, 14, 18), (250, 250, 250)
_BARS_FROM = 0.2
"""Height of a face, relative to the picture, from which on it gets bars."""
_MOST_BARS = 4
"""Faces in a picture up to which they get bars."""
_REFERENCE_PX = 480
"""Shorter side of a picture in which lines have two pixels and text fifteen."""


@dataclass(frozen=True, slots=True)
class OverlayOptions:
    """What is drawn.

    Attributes:
        points: Whether the five landmarks are drawn.
    """

    points: bool = True


@dataclass(frozen=True, slots=True)
class _Place:
    """A face in pixels of the picture."""

    left: float
    top: float
    width: float
    height: float


class Overlay:
    """Draws into pictures of one size."""

    def __init__(self, canvas: Canvas, options: OverlayOptions) -> None:
        """Keep the canvas.

        Args:
            canvas: The picture.
            options: What is drawn.
        """
        self._canvas, self._options = canvas, options
        self._width, self._height = canvas.size
        scale = min(self._width * canvas.pixel_aspect, self._height) / _REFERENCE_PX
        self._line = max(1, round(2 * scale))
        self._text = max(11, round(15 * scale))
        self._gap = max(1, round(2 * scale))
        self._taken: list[_Place] = []

    def draw(self, faces: Sequence[ShownFace]) -> None:
        """Draw all faces of the picture; large ones last, so that their labels are on top."""
        with_bars = len(faces) <= _MOST_BARS
        ordered = sorted(faces, key=lambda face: face.box.h)
        for face in ordered:
            self._draw_box(face)
        for face in ordered:
            place = self._place(face.box)
            self._draw_label(face, place)
            self._draw_strip(face, place)
            if with_bars and face.box.h >= _BARS_FROM and face.emotion.probabilities is not None:
                self._draw_bars(face.emotion.probabilities, face.emotion.smoothed.label, place)

    def _place(self, box: Box) -> _Place:
        return _Place(box.x * self._width, box.y * self._height, box.w * self._width, box.h * self._height)

    def _draw_box(self, face: ShownFace) -> None:
        place, colour = self._place(face.box), COLOURS[face.emotion.smoothed.label]
        line = self._line if face.landmarks else max(1, self._line // 2)  # thin where the face was not found in this picture
        self._canvas.frame(place.left - line, place.top - line, place.width + 2 * line, place.height + 2 * line, _DARK, line=1)
        self._canvas.frame(place.left, place.top, place.width, place.height, colour, line=line)
        if self._options.points:
            for x, y in face.landmarks:
                self._canvas.dot(x * self._width, y * self._height, self._line + 1, _DARK)
                self._canvas.dot(x * self._width, y * self._height, self._line, colour)

    def _draw_label(self, face: ShownFace, place: _Place) -> None:
        text, colour = label_text(face), COLOURS[face.emotion.smoothed.label]
        wide, high = self._canvas.text_size(text, self._text)
        pad = self._gap + 1
        width, height = wide + 3 * pad + self._line, high + pad
        spot = self._free_spot(place, width, height)
        self._canvas.fill(spot.left, spot.top, width, height, _DARK, 0.72)
        self._canvas.fill(spot.left, spot.top, self._line + pad, height, colour)
        self._canvas.text(text, spot.left + self._line + 2 * pad, spot.top + pad // 2, self._text, _LIGHT)
        self._taken.append(spot)

    def _free_spot(self, place: _Place, width: float, height: float) -> _Place:
        """Return where a label of a size goes: above its face, below it, inside it; the first that no other label is at."""
        left = min(max(place.left - self._line, 0), max(0, self._width - width))
        above = place.top - 2 * self._line - height
        strip = 2 * self._strip_height + 2 * self._line
        spots = [_Place(left, top, width, height) for top in (above, place.top + place.height + strip, place.top, above - height)]
        inside = [spot for spot in spots if spot.top >= 0 and spot.top + height <= self._height]
        free = [spot for spot in inside if not any(_overlap(spot, taken) for taken in self._taken)]
        return (free or inside or [_Place(left, max(0.0, above), width, height)])[0]

    @property
    def _strip_height(self) -> int:
        return max(3, 3 * self._gap)

    def _draw_strip(self, face: ShownFace, place: _Place) -> None:
        """Draw the last seconds below the box, the present at the right end."""
        width = max(place.width + 2 * self._line, 3 * self._text)
        left = min(max(place.left - self._line, 0), max(0, self._width - width))
        top = min(place.top + place.height + 2 * self._line, self._height - self._strip_height)
        self._canvas.fill(left, top, width, self._strip_height, _DARK, 0.72)
        for begin_s, end_s, label in face.strip:
            start, end = width * (1 - begin_s / STRIP_S), width * (1 - end_s / STRIP_S)
            self._canvas.fill(left + start, top + 1, end - start, self._strip_height - 2, COLOURS[label])

    def _draw_bars(self, probabilities: Sequence[float], best: str, place: _Place) -> None:
        """Draw the seven probabilities beside the box, where there is more room."""
        text = max(10, self._text * 4 // 5)
        names = max(self._canvas.text_size(name, text)[0] for name in LABELS)
        row = self._canvas.text_size("y", text)[1] + 1
        bar = round(4.5 * text / self._canvas.pixel_aspect)
        pad = 2 * self._gap + 1
        width, height = names + bar + 3 * pad, len(LABELS) * row + pad
        right = place.left + place.width + 3 * self._line
        left = right if right + width <= self._width else place.left - 3 * self._line - width
        if left < 0 or height > self._height:
            return
        top = min(max(place.top, 0), self._height - height)
        self._canvas.fill(left, top, width, height, _DARK, 0.6)
        for number, (name, value) in enumerate(zip(LABELS, probabilities, strict=True)):
            y = top + pad // 2 + number * row
            self._canvas.text(name, left + pad, y, text, _LIGHT if name == best else COLOURS["neutral"])
            self._canvas.fill(left + names + 2 * pad, y + row * 0.2, bar, row * 0.6, COLOURS[UNKNOWN], 0.35)
            self._canvas.fill(left + names + 2 * pad, y + row * 0.2, bar * value, row * 0.6, COLOURS[name])


def label_text(face: ShownFace) -> str:
    """Return what is written at a face: its smoothed label with the probability, or ``unknown`` with the reason."""
    smoothed, abstained = face.emotion.smoothed, face.emotion.abstained
    if smoothed.label == UNKNOWN:
        return UNKNOWN if abstained is None else f"{UNKNOWN} ({abstained.value.replace('_', ' ')})"
    return f"{smoothed.label} {round(100 * smoothed.confidence)} %"


def _overlap(first: _Place, second: _Place) -> bool:
    return (
        first.left < second.left + second.width
        and second.left < first.left + first.width
        and first.top < second.top + second.height
        and second.top < first.top + first.height
    )
