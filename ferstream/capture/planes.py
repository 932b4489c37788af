"""Takes the luma and the detection image from a decoded picture, without converting the full picture.

``Luma.plane`` is a view of the decoder's Y plane; it keeps the decoder's buffer alive as long as the frame lives. For
detection the planes are scaled down first, and only the small image is converted to BGR, always by the BT.601 matrix.
In a 1080p street scene of 105 frames YuNet finds 555 faces this way; 553 and 559 in pictures converted exactly by BT.601
and BT.709 and then scaled by areas; 469 without colour, so the chroma planes are worth their cost.

Packed, big-endian, RGB and palette formats are converted to planar YUV by libswscale first; no camera delivers them at
full rate. The luma is taken in the capture threads, the detection image of a live frame in the detection workers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange

from ferstream.domain.frame import Image, Luma

Plane = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

_HALVE_FROM_RATIO = 2.0


@dataclass(frozen=True, slots=True)
class _Layout:
    """How a pixel format stores its samples.

    Attributes:
        bits: Significant bits of a stored sample (16 for formats that keep them at the upper end).
        chroma: Number of chroma planes: 0 grey, 1 interleaved, 2 planar.
        swapped: True when V comes before U.
        full_range: What an untagged picture means by convention.
    """

    bits: int
    chroma: int
    swapped: bool = False
    full_range: bool = False


def _layouts() -> dict[str, _Layout]:
    table = {"nv12": _Layout(8, 1), "nv16": _Layout(8, 1), "nv24": _Layout(8, 1)}
    table |= {"nv21": _Layout(8, 1, swapped=True), "nv42": _Layout(8, 1, swapped=True)}
    table |= {f"p{sub}{bits}le": _Layout(16, 1) for sub in (0, 2, 4) for bits in (10, 12, 16)}
    for sub in ("420", "422", "444", "440", "411", "410"):
        table[f"yuv{sub}p"] = table[f"yuva{sub}p"] = _Layout(8, 2)
        table[f"yuvj{sub}p"] = _Layout(8, 2, full_range=True)
        table |= {f"yuv{alpha}{sub}p{bits}le": _Layout(bits, 2) for alpha in ("", "a") for bits in (9, 10, 12, 14, 16)}
    table["gray"] = _Layout(8, 0, full_range=True)
    table |= {f"gray{bits}le": _Layout(bits, 0, full_range=True) for bits in (9, 10, 12, 14, 16)}
    return table


LAYOUTS = _layouts()


def luma_and_image_maker(frame: av.VideoFrame, size: tuple[int, int]) -> tuple[Luma, Callable[[], Image]]:
    """Return the grey plane at full size, and a function that makes the colour image for the detector, both as stored.

    The function costs most of the time. It may be called in another thread, and not at all. ``Geometry`` turns both.

    Args:
        frame: A picture in any pixel format of libav.
        size: (width, height) of the detection image in pixels, even, as stored.

    Returns:
        The luma, (height, width) uint8 or uint16, a read-only view; and a function that returns the detection image,
        (h, w, 3) uint8 BGR, 0..255, contiguous.
    """
    layout = LAYOUTS.get(frame.format.name)
    if layout is None:
        frame = _to_planar_yuv(frame)
        layout = LAYOUTS[frame.format.name]
    limited = is_limited(frame, layout)
    plane = _plane(frame, 0, layout)
    plane.flags.writeable = False
    return Luma(plane=plane, limited=limited, bits=layout.bits), lambda: _detection_bgr(frame, plane, layout, limited, size)


def _to_planar_yuv(frame: av.VideoFrame) -> av.VideoFrame:
    return frame.reformat(format="yuvj420p" if frame.format.is_rgb else "yuv420p")


def is_limited(frame: av.VideoFrame, layout: _Layout) -> bool:
    """Return whether the samples of a picture have limited range (16..235 at 8 bits)."""
    if frame.color_range == ColorRange.UNSPECIFIED:
        return not layout.full_range
    return bool(frame.color_range == ColorRange.MPEG)


def _plane(frame: av.VideoFrame, number: int, layout: _Layout, samples: int = 1) -> Plane:
    """Return a view of one plane: (height, width), or (height, width, samples) for ``samples`` > 1 (interleaved chroma)."""
    plane = frame.planes[number]
    stored = memoryview(plane)
    flat: Plane = np.frombuffer(stored, np.uint8) if layout.bits == 8 else np.frombuffer(stored, np.uint16)
    rows = flat.reshape(plane.height, -1)[:, : plane.width * samples]
    return rows if samples == 1 else rows.reshape(plane.height, plane.width, samples)


def _detection_bgr(frame: av.VideoFrame, luma: Plane, layout: _Layout, limited: bool, size: tuple[int, int]) -> Image:
    """Scale the planes to ``size`` (width, height) and convert them: (height, width, 3) uint8 BGR."""
    width, height = size
    area = width * height
    yuv = np.empty(area * 3 // 2, np.uint8)
    grey = yuv[:area].reshape(height, width)
    _shrink(luma, grey, layout.bits)
    if not layout.chroma:
        return cv2.cvtColor(_expanded(grey) if limited else grey, cv2.COLOR_GRAY2BGR)  # type: ignore[return-value]
    chroma = yuv[area:]
    if layout.chroma == 1:
        _resize_into(_plane(frame, 1, layout, 2), chroma.reshape(height // 2, width // 2, 2), layout.bits, cv2.INTER_NEAREST)
        code = cv2.COLOR_YUV2BGR_NV21 if layout.swapped else cv2.COLOR_YUV2BGR_NV12
    else:
        halves = chroma.reshape(2, height // 2, width // 2)
        for number in (1, 2):
            _resize_into(_plane(frame, number, layout), halves[number - 1], layout.bits, cv2.INTER_NEAREST)
        code = cv2.COLOR_YUV2BGR_I420
    if not limited:  # cv2 expects limited range
        cv2.convertScaleAbs(grey, dst=grey, alpha=219 / 255, beta=16)
        cv2.convertScaleAbs(chroma, dst=chroma, alpha=224 / 255, beta=128 * (1 - 224 / 255))
    return cv2.cvtColor(yuv.reshape(height * 3 // 2, width), code)  # type: ignore[return-value]


def _expanded(grey: Image) -> Image:
    """Expand limited range (16..235) to 0..255."""
    return cv2.convertScaleAbs(grey, alpha=255 / 219, beta=-16 * 255 / 219)  # type: ignore[return-value]


def _shrink(plane: Plane, out: Image, bits: int) -> None:
    """Scale the Y plane into ``out``, (h, w) uint8; samples of more than 8 bits are reduced to 8.

    Halving by areas first costs no more than sampling a large plane directly, because memory access dominates, and it
    does not alias small faces.
    """
    size = (out.shape[1], out.shape[0])
    while min(plane.shape[1] / size[0], plane.shape[0] / size[1]) >= _HALVE_FROM_RATIO:
        half = (plane.shape[1] // 2, plane.shape[0] // 2)
        plane = cv2.resize(plane, half, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    _resize_into(plane, out, bits, cv2.INTER_LINEAR)


def _resize_into(plane: Plane, out: Image, bits: int, interpolation: int) -> None:
    """Scale a plane into ``out``, reducing ``bits`` per sample to 8."""
    size = (out.shape[1], out.shape[0])
    if bits == 8:
        cv2.resize(plane, size, dst=out, interpolation=interpolation)
    else:
        cv2.convertScaleAbs(cv2.resize(plane, size, interpolation=interpolation), dst=out, alpha=1 / (1 << (bits - 8)))
