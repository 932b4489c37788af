"""Privacy masks: parts of the picture that are filled with grey before the picture is analysed.

Masks are filled in the detection image before detection and in every face crop, and a face whose box centre
lies in a mask is dropped. The grey is about the mean of the pictures that the networks were trained on. With three
masks on three clips, as many faces were found beside grey masks as beside black ones (1,113 and 1,119), and
fewer beside white ones (1,101). With grey, a crop that is half filled keeps most of its contrast.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from ferstream.domain.face import Box
from ferstream.errors import ConfigError

MASK_GREY = 128
"""Grey level of masked pixels."""
_NEIGHBOURS = np.ones((3, 3), np.uint8)
RelativePoint = Sequence[float]
Polygon = Sequence[RelativePoint]
Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]


class PrivacyMask:
    """The masks of one camera. Any thread: the cached raster is replaced as a whole."""

    def __init__(self, polygons: Iterable[Polygon] = ()) -> None:
        """Check the polygons.

        Args:
            polygons: Each has at least three corners [x, y], relative to width and height, 0..1.

        Raises:
            ConfigError: A polygon has too few corners, a corner outside 0..1, no area, or crossing edges.
        """
        self._polygons = tuple(_checked(number, polygon) for number, polygon in enumerate(polygons, start=1))
        self._rasters: dict[tuple[int, int], Pixels] = {}

    def __bool__(self) -> bool:
        """Whether there are any masks."""
        return bool(self._polygons)

    def apply(self, picture: Pixels) -> None:
        """Fill the masked parts with grey, in place.

        Args:
            picture: (h, w) or (h, w, 3) uint8, the whole picture at any scale.
        """
        height, width = picture.shape[:2]
        for polygon in self._polygons:
            _fill(picture, polygon * (width, height))

    def apply_to_crop(self, crop: Pixels, matrix: npt.NDArray[np.floating], width: int, height: int) -> Pixels:
        """Return a copy of a face crop whose masked parts are grey, or the crop itself if nothing in it is masked.

        The mask is warped like the pixels, including the repeated edge outside the picture.

        Args:
            crop: (h, w) uint8 grey.
            matrix: (2, 3) affine map from source pixels to crop pixels.
            width: Width of the source picture in pixels.
            height: Height of the source picture in pixels.
        """
        if not self._polygons:
            return crop
        size = (crop.shape[1], crop.shape[0])
        hidden = cv2.warpAffine(self._raster(width, height), matrix, size, flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
        # One pixel more, because pixels of the crop are interpolated between neighbours.
        hidden = cv2.dilate(hidden, _NEIGHBOURS)
        return np.where(hidden, np.uint8(MASK_GREY), crop) if hidden.any() else crop

    def covers(self, box: Box, width: int, height: int) -> bool:
        """Return whether the centre of ``box``, in source pixels, lies in a mask or on its edge."""
        centre = ((box.x + box.w / 2) / width, (box.y + box.h / 2) / height)
        return any(cv2.pointPolygonTest(polygon.astype(np.float32), centre, False) >= 0 for polygon in self._polygons)

    def _raster(self, width: int, height: int) -> Pixels:
        """Return (height, width) uint8, MASK_GREY inside the masks and 0 elsewhere; the last size is cached."""
        raster = self._rasters.get((width, height))
        if raster is None:
            raster = np.zeros((height, width), np.uint8)
            self.apply(raster)
            self._rasters = {(width, height): raster}
        return raster


def _fill(picture: Pixels, corners: Floats) -> None:
    # One polygon per call: in one call, overlaps would stay open (even-odd rule). The outline of three pixels
    # also covers pixels that the edge cuts, and neighbours that resizing has mixed with masked ones.
    points = np.clip(np.rint(corners), -16384, 16384).astype(np.int32)
    colour = (MASK_GREY, MASK_GREY, MASK_GREY)
    cv2.fillPoly(picture, [points], colour)
    cv2.polylines(picture, [points], isClosed=True, color=colour, thickness=3)


def _checked(number: int, polygon: Polygon) -> Floats:
    where = f"cameras.masks: polygon {number}"
    try:
        corners = np.array([[float(x), float(y)] for x, y in polygon], np.float64).reshape(-1, 2)
    except (TypeError, ValueError) as exc:
        raise ConfigError(f"{where}: every corner must be [x, y], two numbers within 0..1") from exc
    if len(corners) < 3:
        raise ConfigError(f"{where} has {len(corners)} corners; it needs at least 3")
    if not ((corners >= 0) & (corners <= 1)).all():
        raise ConfigError(f"{where}: corners are relative to width and height, within 0..1")
    if _area(corners) < 1e-9:
        raise ConfigError(f"{where} has no area")
    if _crosses_itself(corners):
        raise ConfigError(f"{where}: its edges cross; give the corners in order around the area")
    return corners


def _area(corners: Floats) -> float:
    x, y = corners.T
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2


def _crosses_itself(corners: Floats) -> bool:
    count = len(corners)
    edges = [(corners[i], corners[(i + 1) % count]) for i in range(count)]
    return any(_cross(*edges[i], *edges[j]) for i in range(count) for j in range(i + 1, count))


def _cross(a: Floats, b: Floats, c: Floats, d: Floats) -> bool:
    """Return whether the segments ab and cd cross; touching at an end does not count."""
    return _side(a, b, c) * _side(a, b, d) < 0 and _side(c, d, a) * _side(c, d, b) < 0


def _side(a: Floats, b: Floats, point: Floats) -> float:
    return float(np.sign((b[0] - a[0]) * (point[1] - a[1]) - (b[1] - a[1]) * (point[0] - a[0])))
