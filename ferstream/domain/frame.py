"""A decoded picture on its way to detection, and what is known of it afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class FrameInfo:
    """Identity and times of a frame; small enough to travel with events.

    Attributes:
        camera: Name of the camera.
        index: Number of the frame in its source, from 0, counting every decoded frame (also those
            that ``analysis_fps`` skips); never reset by a reconnect.
        media_time_ns: Media time since the start of the source, never decreasing.
        captured_ns: Monotonic clock when the frame was decoded.
        captured_at_ns: UTC in nanoseconds since the epoch (recordings: the file's creation time, else 0, plus media time).
        width: Width of the source picture in pixels, as displayed (after rotation).
        height: Height of the source picture in pixels, as displayed.
        live: True when the source does not wait (camera, stream, or a recording played in real time).
    """

    camera: str
    index: int
    media_time_ns: int
    captured_ns: int
    captured_at_ns: int
    width: int
    height: int
    live: bool


@dataclass(frozen=True, slots=True)
class Luma:
    """The grey picture at full size, as the decoder left it.

    Attributes:
        plane: (height, width) uint8, or uint16 for more than 8 bits; may be a view into the decoder's memory: never write to it.
        limited: True for limited range (16..235 at 8 bits), which ``crop`` functions expand.
        bits: Bits per sample, 8..16.
    """

    plane: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
    limited: bool
    bits: int = 8


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture to analyse.

    Attributes:
        info: Identity and times.
        luma: Full-size grey plane, from which faces are cut.
        detection_image: (h, w, 3) uint8 BGR, 0..255, contiguous, writable and owned by the frame: what the detector sees.
            Its aspect is the source's; ``info.width / w`` scales its coordinates back.
    """

    info: FrameInfo
    luma: Luma
    detection_image: npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class EndOfStream:
    """Follows the last frame of a connection: the tracks of the camera end here.

    Attributes:
        camera: Name of the camera.
        final: True when the camera will not come back (end of a recording, removed from the settings).
    """

    camera: str
    final: bool


DETECTION_MULTIPLE = 32  # the detector's coarsest stride: its input sides must be multiples


@lru_cache(maxsize=64)
def detection_size(width: int, height: int, target: int) -> tuple[int, int]:
    """Size of ``Frame.detection_image`` for a picture, so that the detector needs neither padding nor a second resize.

    The longer side becomes ``target`` (never more than it is), the other one keeps the aspect; both are rounded
    to multiples of 32, so x and y are scaled by slightly different factors.

    Args:
        width: Displayed width of the source picture in pixels.
        height: Displayed height of the source picture in pixels.
        target: Wanted longer side in pixels.

    Returns:
        (width, height) in pixels, multiples of 32, at least 32.

    Raises:
        ValueError: A side or the target is not positive.
    """
    if width < 1 or height < 1 or target < 1:
        raise ValueError(f"want positive sides and target, got {width}x{height} and {target}")
    longer = max(width, height)
    side = _to_multiple(min(target, longer))
    return _to_multiple(round(side * width / longer)), _to_multiple(round(side * height / longer))


def _to_multiple(side: int) -> int:
    return max(DETECTION_MULTIPLE, (side + DETECTION_MULTIPLE // 2) // DETECTION_MULTIPLE * DETECTION_MULTIPLE)
