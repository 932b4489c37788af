"""Recordings whose containers say how their pictures are displayed: display matrices and pixel aspects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.video.stream import VideoStream

FIXED = 1 << 16
"""1.0 in the numbers of a display matrix; its last column has 2.30 fixed point."""
W_ONE = 1 << 30
_TKHD_MATRIX = 44
"""Bytes from the name of a ``tkhd`` box (version 0) to its matrix."""
Rgb = npt.NDArray[np.uint8]

EIGHT = {
    "as stored": (1, 0, 0, 1),
    "turned 90 clockwise": (0, 1, -1, 0),
    "turned 180": (-1, 0, 0, -1),
    "turned 270 clockwise": (0, -1, 1, 0),
    "left and right exchanged": (-1, 0, 0, 1),
    "top and bottom exchanged": (1, 0, 0, -1),
    "transposed": (0, 1, 1, 0),
    "transposed at the other diagonal": (0, -1, -1, 0),
}
"""a, b, c, d of the eight turns and flips: (p, q) is displayed at (a p + c q, b p + d q), y downwards."""


def matrix(a: float, b: float, c: float, d: float) -> tuple[int, ...]:
    """The nine numbers of a display matrix without shift."""
    first, second, third, fourth = (round(value * FIXED) for value in (a, b, c, d))
    return first, second, 0, third, fourth, 0, 0, 0, W_ONE


def displayed(picture: npt.NDArray[np.uint8], numbers: Sequence[float]) -> npt.NDArray[np.uint8]:
    """What a player shows of a stored (h, w, ...) picture; ``numbers`` is a value of ``EIGHT``. Pixel by pixel, to compare with."""
    a, b, c, d = numbers
    height, width = picture.shape[:2]
    rows, columns = np.mgrid[:height, :width]
    x, y = a * columns + c * rows, b * columns + d * rows
    x, y = (x - x.min()).astype(int), (y - y.min()).astype(int)
    shown = np.empty((y.max() + 1, x.max() + 1, *picture.shape[2:]), picture.dtype)
    shown[y, x] = picture
    return shown


def stored(upright: npt.NDArray[np.uint8], numbers: Sequence[float]) -> npt.NDArray[np.uint8]:
    """The picture that ``displayed`` brings back to ``upright``: the inverse of these matrices is their transpose."""
    a, b, c, d = numbers
    return displayed(upright, (a, c, b, d))


def write_pictures(
    path: Path,
    pictures: Iterable[Rgb],
    *,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    aspect: Fraction | None = None,
    muxing: dict[str, str] | None = None,
) -> Path:
    """Encode (h, w, 3) uint8 RGB pictures of one size, 25 a second, and return the path.

    Args:
        path: The file; its suffix chooses the container.
        pictures: The pictures.
        codec: libav's encoder; ``pixel_format`` libav's pixel format.
        aspect: Pixel aspect in codec and container; None for none.
        muxing: Options of the container.
    """
    frames = list(pictures)
    with av.open(str(path), "w", options=muxing or {}) as container:
        stream = container.add_stream(codec, rate=25)
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixel_format
        stream.codec_context.thread_count = 1
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        for rgb in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")))
        container.mux(stream.encode(None))
    return path


def write_matrix(path: Path, numbers: Sequence[int]) -> Path:
    """Replace the display matrix in the track header of an mp4 or mov, as phones and careless muxers write it."""
    content = bytearray(path.read_bytes())
    start = content.index(b"tkhd") + _TKHD_MATRIX
    content[start : start + 36] = b"".join((int(number) & 0xFFFFFFFF).to_bytes(4, "big") for number in numbers)
    path.write_bytes(content)
    return path


def write_container_aspect(path: Path, horizontal: int, vertical: int) -> Path:
    """Replace the numbers of the ``pasp`` box of an mp4 or mov."""
    content = bytearray(path.read_bytes())
    start = content.index(b"pasp") + 4
    content[start : start + 8] = (horizontal & 0xFFFFFFFF).to_bytes(4, "big") + (vertical & 0xFFFFFFFF).to_bytes(4, "big")
    path.write_bytes(content)
    return path
