"""The seam of detection: a small BGR picture in, faces out."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from ferstream.domain.face import Face


class Detector(Protocol):
    """Finds faces. One instance per worker thread; instances share nothing mutable."""

    def detect(self, small: npt.NDArray[np.uint8], *, width: int, height: int) -> tuple[Face, ...]:
        """Find the faces of one picture.

        Args:
            small: (h, w, 3) uint8 BGR, 0..255, the whole picture at reduced size.
            width: Width of the source picture in pixels; results are in its coordinates.
            height: Height of the source picture in pixels.

        Returns:
            Faces by descending score; boxes clipped to the picture.

        Raises:
            ValueError: ``small`` is not (h, w, 3) uint8.
        """
        ...

    def close(self) -> None:
        """Free the model."""
        ...
