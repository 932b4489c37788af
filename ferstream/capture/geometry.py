"""How a stored picture is brought to the form in which it is analysed: turned, mirrored, and with the shape of its pixels.

``Geometry`` is the one value for it. Luma, detection image and size are made with the same one, and boxes, landmarks and
masks are coordinates of these pictures, so that they cannot disagree. Pure functions and immutable values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from ferstream.domain.frame import Image, Luma, detection_size

AnyPlane = TypeVar("AnyPlane", bound=npt.NDArray[Any])

MATRIX_NUMBERS = 9
MIN_PIXEL_ASPECT, MAX_PIXEL_ASPECT = 0.25, 4.0
"""Aspects outside are taken for damaged metadata. The flattest pixels in use have 32:11 (half-width PAL, 16:9)."""
_SQUARE_WITHIN = 0.01
"""Pixels that differ less from a square count as square: encoders write such aspects for sizes that they rounded."""
_MAX_SHEAR = math.sin(math.radians(20))
"""Largest cosine of the angle between the axes of a display matrix; rotations and flips have 0."""
_MAX_STRETCH = 16.0
"""Largest ratio of the two scales of a display matrix."""
_MAX_PERSPECTIVE = 1 << 14
"""Largest u and v of a display matrix (2.30 fixed point): 3 % over 2000 pixels."""


@dataclass(frozen=True, slots=True)
class Orientation:
    """One of the eight turns and flips of a picture. The axes are swapped first, then flipped.

    Attributes:
        swapped: Rows become columns.
        flip_x: Left and right are exchanged.
        flip_y: Top and bottom are exchanged.
    """

    swapped: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @classmethod
    def turned(cls, clockwise_degrees: int, *, mirrored: bool = False) -> Orientation:
        """Return a turn by a multiple of 90 degrees, followed by an exchange of left and right if ``mirrored``."""
        quarters = clockwise_degrees // 90 % 4
        return cls(swapped=quarters % 2 == 1, flip_x=(quarters in {1, 2}) != mirrored, flip_y=quarters in {2, 3})

    def then(self, after: Orientation) -> Orientation:
        """Return this orientation followed by another."""
        flip_x, flip_y = (self.flip_y, self.flip_x) if after.swapped else (self.flip_x, self.flip_y)
        return Orientation(self.swapped != after.swapped, flip_x != after.flip_x, flip_y != after.flip_y)

    def size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the (width, height) that a picture of ``size`` has afterwards."""
        return size[::-1] if self.swapped else size

    def view(self, picture: AnyPlane) -> AnyPlane:
        """Return a (h, w) or (h, w, channels) array as displayed: a view, and the array itself for the identity."""
        if self == UPRIGHT:
            return picture
        shown: Any = picture.swapaxes(0, 1) if self.swapped else picture
        return shown[:: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1]  # type: ignore[no-any-return]

    def copy(self, image: Image) -> Image:
        """Return a (h, w, channels) uint8 image as displayed, contiguous; the image itself for the identity.

        OpenCV copies with vector instructions; ``numpy`` would take many times as long for swapped axes.
        """
        if self.swapped:
            image = cv2.transpose(image)  # type: ignore[assignment]
        if not (self.flip_x or self.flip_y):
            return image
        return cv2.flip(image, -1 if self.flip_x and self.flip_y else int(self.flip_x))  # type: ignore[return-value]


UPRIGHT = Orientation()
"""The picture as it is stored."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """How the stored pictures of a source are displayed.

    Attributes:
        orientation: Turns and flips.
        pixel_aspect: Width of a stored pixel divided by its height, before turning.
    """

    orientation: Orientation = UPRIGHT
    pixel_aspect: float = 1.0

    @property
    def displayed_pixel_aspect(self) -> float:
        """Width of a pixel divided by its height, after turning."""
        return 1 / self.pixel_aspect if self.orientation.swapped else self.pixel_aspect

    def size(self, stored: tuple[int, int]) -> tuple[int, int]:
        """Return the displayed (width, height), in stored pixels, of a picture of the stored size."""
        return self.orientation.size(stored)

    def detection_size(self, stored: tuple[int, int], target: int) -> tuple[int, int]:
        """Return the (width, height) in pixels of the detection image before it is turned.

        Args:
            stored: (width, height) of the stored picture.
            target: Longer side in pixels.
        """
        width, height = self.size(stored)
        return self.orientation.size(detection_size(width, height, target, self.displayed_pixel_aspect))

    def luma(self, stored: Luma) -> Luma:
        """Return the stored luma as displayed: a view of it, and the same object where nothing changes."""
        if self == AS_STORED:
            return stored
        return replace(stored, plane=self.orientation.view(stored.plane), pixel_aspect=self.displayed_pixel_aspect)


AS_STORED = Geometry()
"""Upright, with square pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureOptions:
    """What the settings of a camera say about the geometry of its pictures.

    Attributes:
        rotate: Degrees clockwise by which the displayed picture is turned: 0, 90, 180 or 270.
        mirror: Whether left and right are exchanged, after ``rotate``.
        pixel_aspect: Width of a stored pixel divided by its height; None for what the source says.
    """

    rotate: int = 0
    mirror: bool = False
    pixel_aspect: float | None = None

    def applied_to(self, source: Geometry) -> Geometry:
        """Return the geometry of pictures, from what their source says of them."""
        if self == AS_THE_SOURCE_SAYS:
            return source
        orientation = source.orientation.then(Orientation.turned(self.rotate, mirrored=self.mirror))
        return Geometry(orientation, source.pixel_aspect if self.pixel_aspect is None else usable_pixel_aspect(self.pixel_aspect))


AS_THE_SOURCE_SAYS = PictureOptions()


def is_plausible(aspect: float | Fraction | None) -> bool:
    """Return whether a pixel aspect can be true; 0 and None mean that it is not known."""
    return aspect is not None and MIN_PIXEL_ASPECT <= aspect <= MAX_PIXEL_ASPECT


def usable_pixel_aspect(*aspects: float | Fraction | None) -> float:
    """Return the first plausible pixel aspect; 1.0 if it is nearly square, and if none is plausible.

    Args:
        aspects: Width of a pixel divided by its height, in order of preference; 0 and None mean that it is not known.
    """
    aspect = next((float(aspect) for aspect in aspects if aspect is not None and is_plausible(aspect)), 1.0)
    return 1.0 if abs(aspect - 1) <= _SQUARE_WITHIN else aspect


@lru_cache(maxsize=16)
def orientation_of_matrix(stored: bytes) -> Orientation:
    """Return the orientation of a display matrix, as libav delivers it with a picture.

    Args:
        stored: Nine int32 in native byte order; see ``nearest_orientation``.
    """
    if len(stored) != MATRIX_NUMBERS * 4:
        return UPRIGHT
    return nearest_orientation(np.frombuffer(stored, np.int32).tolist())


def nearest_orientation(numbers: Sequence[float]) -> Orientation:
    """Return the turns and flips that are nearest to a display matrix.

    Scale and shift do not count. A matrix that is no turn or flip, not even nearly, gives the identity: zeros, a singular
    one, a shear, a perspective.

    Args:
        numbers: ``a, b, u, c, d, v, x, y, w``. The point (p, q) of the stored picture, y downwards, is displayed at
            (a p + c q + x, b p + d q + y), divided by (u p + v q + w). ``w`` counts only if it is negative: several muxers leave it 0.
    """
    a, b, u, c, d, v, _, _, w = (float(number) for number in numbers)
    if not all(math.isfinite(number) for number in numbers) or max(abs(u), abs(v)) > _MAX_PERSPECTIVE or w < 0:
        return UPRIGHT
    across, down = math.hypot(a, b), math.hypot(c, d)
    if min(across, down) * _MAX_STRETCH < max(across, down) or not min(across, down):
        return UPRIGHT
    if abs(a * c + b * d) > _MAX_SHEAR * across * down:
        return UPRIGHT
    return _nearest(a / across, b / across, c / down, d / down)


def _nearest(a: float, b: float, c: float, d: float) -> Orientation:
    """Return the orientation nearest to the matrix of unit columns (a, b) and (c, d), which are about perpendicular."""
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Orientation(flip_x=a < 0, flip_y=d < 0)
    return Orientation(swapped=True, flip_x=c < 0, flip_y=b < 0)
