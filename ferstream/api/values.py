"""The values that the calls take and return: what a picture may be, the faces of a picture. Only standard library."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, overload

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL.Image import Image

    PictureInput = str | os.PathLike[str] | bytes | bytearray | memoryview | npt.NDArray[np.uint8] | Image

Colors = Literal["bgr", "rgb"]
"""Order of the channels of a numpy array."""
Masks = Sequence[Sequence[Sequence[float]]]
"""Polygons of corners (x, y), relative to the width and height of the picture, 0..1."""
EventKind = Literal["face", "track", "summary", "state"]
"""Short name of a kind of events."""


@dataclass(frozen=True, slots=True)
class Face:
    """One face of a picture. The numbers are those of ``ferstream predict``: pixels to one digit, probabilities to four.

    Attributes:
        box: Left, top, width, height in pixels of the upright picture; None with ``detect=False``.
        score: Confidence of the detector, 0..1; None with ``detect=False``.
        landmarks: Right eye, left eye, nose tip, right and left corner of the mouth (the subject's right and left), each (x, y)
            in pixels; None with ``detect=False``.
        label: ``angry``, ``disgust``, ``fear``, ``happy``, ``sad``, ``surprise``, ``neutral``; or ``unknown``, and ``abstained``
            says why.
        best: The expression with the highest probability, also where ``label`` is ``unknown``; ``unknown`` without probabilities.
        confidence: The highest probability, 0..1; 0 without probabilities.
        probabilities: One probability for each of the seven expressions; None for a face that is turned too far to be classified.
        abstained: Why ``label`` is ``unknown``: ``small``, ``blurred``, ``occluded``, ``dark`` or ``turned``; else None.
    """

    box: tuple[float, float, float, float] | None
    score: float | None
    landmarks: tuple[tuple[float, float], ...] | None
    label: str
    best: str
    confidence: float
    probabilities: Mapping[str, float] | None
    abstained: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return the face as ``ferstream predict`` writes it into ``faces.json``."""
        return {
            "box": None if self.box is None else list(self.box),
            "score": self.score,
            "landmarks": None if self.landmarks is None else [list(point) for point in self.landmarks],
            "label": self.label,
            "best": self.best,
            "confidence": self.confidence,
            "probabilities": None if self.probabilities is None else dict(self.probabilities),
            "abstained": self.abstained,
        }


@dataclass(frozen=True, slots=True)
class Faces(Sequence[Face]):
    """The faces of one picture, from left to right: a sequence of ``Face``.

    Attributes:
        faces: The faces.
        width: Width of the upright picture in pixels.
        height: Height of the upright picture in pixels.
        file: The path that was given; None for a picture from memory.
        model: Name and version of the classifier, such as ``emotion-edge/1.2.0``.
    """

    faces: tuple[Face, ...]
    width: int
    height: int
    file: str | None
    model: str

    @overload
    def __getitem__(self, index: int) -> Face: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Face, ...]: ...
    def __getitem__(self, index: int | slice) -> Face | tuple[Face, ...]:
        return self.faces[index]

    def __len__(self) -> int:
        return len(self.faces)

    def __iter__(self) -> Iterator[Face]:
        return iter(self.faces)

    def to_dict(self) -> dict[str, Any]:
        """Return the picture as an entry of ``images`` in the ``faces.json`` of ``ferstream predict``."""
        faces = [face.to_dict() for face in self.faces]
        return {"file": self.file, "width": self.width, "height": self.height, "faces": faces}
