"""Decoded pictures, and the identity and times that follow a frame through the pipeline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class FrameInfo:
    """Identity, times and size of a frame, without its pixels.

    Attributes:
        camera: Name of the camera.
        index: Number of the frame in its source, from 0, counting every decoded frame (also those
            that ``analysis_fps`` skips); never reset by a reconnect.
        media_time_ns: Nanoseconds of media time since the start of the source, never decreasing.
        captured_ns: Nanoseconds of the monotonic clock when the frame was decoded.
        captured_at_ns: UTC in nanoseconds since the epoch; for recordings, their start (as given, else the file's creation time, else 0)
            plus media time.
        width: Width of the source picture in stored pixels, turned as displayed. Pixels that are not square are not stretched.
        height: Height of the source picture in stored pixels, turned as displayed.
        live: True when the source does not wait for the pipeline: a camera, a stream, or a recording played in real time.
    """

    camera: str
    index: int
    media_time_ns: int
    captured_ns: int
    captured_at_ns: int
    width: int
    height: int
    live: bool

    @property
    def key(self) -> tuple[str, int]:
        """Camera and number: one frame among all that are in the pipeline."""
        return self.camera, self.index


@dataclass(frozen=True, slots=True)
class Luma:
    """The grey picture at full size, turned as displayed.

    Attributes:
        plane: (height, width) uint8, or uint16 for more than 8 bits; may be a view of the decoder's memory: read only. The
            view of a turned or mirrored picture has negative or swapped strides.
        limited: True for limited range (16..235 at 8 bits); the alignment expands crops to full range.
        bits: Bits per sample, 8..16.
        pixel_aspect: Width of a pixel divided by its height, as displayed; 1 for square pixels.
    """

    plane: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
    limited: bool
    bits: int = 8
    pixel_aspect: float = 1.0

    @property
    def square_scale(self) -> tuple[float, float]:
        """Factors of x and y that make the pixels square. The larger one is 1, so that no size grows."""
        return min(1.0, self.pixel_aspect), min(1.0, 1.0 / self.pixel_aspect)

    def in_square_pixels(self, points: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
        """Return points (x, y) of the plane in the coordinates that ``square_scale`` gives."""
        if self.pixel_aspect == 1:
            return points
        scale_x, scale_y = self.square_scale
        return [(x * scale_x, y * scale_y) for x, y in points]


Image = npt.NDArray[np.uint8]


class Frame:
    """A frame to analyse; one thread at a time uses it.

    Attributes:
        info: Identity and times.
        luma: Grey picture at full size, from which faces are cut.
    """

    __slots__ = ("_image", "info", "luma")

    def __init__(self, info: FrameInfo, luma: Luma, detection_image: Image | Callable[[], Image]) -> None:
        """Keep the parts.

        Args:
            info: Identity and times.
            luma: Grey picture at full size.
            detection_image: The image, or a function that makes it when it is first used. Most frames of an overloaded
                live camera are replaced by newer ones before that.
        """
        self.info, self.luma, self._image = info, luma, detection_image

    @property
    def detection_image(self) -> Image:
        """(h, w, 3) uint8 BGR, 0..255: the whole picture at the size of ``detection_size``, for the detector.

        Contiguous and owned by the frame, so privacy masks may be drawn into it. ``info.width / w`` and
        ``info.height / h`` scale its coordinates to source pixels.
        """
        if callable(self._image):
            self._image = self._image()
        return self._image

    def with_info(self, info: FrameInfo) -> Frame:
        """Return the same picture with another identity; use this frame no longer."""
        return Frame(info, self.luma, self._image)


@dataclass(frozen=True, slots=True)
class EndOfStream:
    """Follows the last frame of a connection in the frame queue; ends the tracks of the camera.

    Attributes:
        camera: Name of the camera.
        final: True when no further connection follows (end of a recording, camera removed from the settings).
    """

    camera: str
    final: bool


DETECTION_MULTIPLE = 32
"""Largest stride of the detector in pixels; width and height of its input are multiples."""


@lru_cache(maxsize=64)
def detection_size(width: int, height: int, target: int, pixel_aspect: float = 1.0) -> tuple[int, int]:
    """Return the size of ``Frame.detection_image`` for a picture, so that the detector needs neither padding nor a second resize.

    The detection image has square pixels: pixels of another shape are stretched along their shorter side. Its longer side
    becomes ``target``, or stays as it is if it is shorter, rounded to a multiple of 32. The other side keeps the aspect and
    is rounded too, so x and y are scaled by slightly different factors.

    Args:
        width: Displayed width of the source picture in stored pixels.
        height: Displayed height of the source picture in stored pixels.
        target: Longer side of the result in pixels, before rounding.
        pixel_aspect: Width of a displayed pixel divided by its height.

    Returns:
        (width, height) in pixels, multiples of 32, at least 32.

    Raises:
        ValueError: A side or the target is below 1, or the pixel aspect is not positive.
    """
    if width < 1 or height < 1 or target < 1:
        raise ValueError(f"want positive sides and target, got {width}x{height} and {target}")
    if not pixel_aspect > 0:
        raise ValueError(f"want a positive pixel aspect, got {pixel_aspect}")
    wide, high = width * max(1.0, pixel_aspect), height * max(1.0, 1 / pixel_aspect)
    longer = max(wide, high)
    side = _to_multiple(round(min(target, longer)))
    return _to_multiple(round(side * wide / longer)), _to_multiple(round(side * high / longer))


def _to_multiple(side: int) -> int:
    return max(DETECTION_MULTIPLE, (side + DETECTION_MULTIPLE // 2) // DETECTION_MULTIPLE * DETECTION_MULTIPLE)
