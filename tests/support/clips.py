"""Writes tiny real recordings with libav: any codec, pixel format, size, timestamps, rotation, and damage."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream

SIZE = (96, 64)
RATE = 25
_ROTATED = {0: (1, 0, 0, 1), 90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}
_MATRIX_OFFSET = 44
"""Bytes from ``tkhd`` (version 0) to its matrix."""


def card(size: tuple[int, int] = SIZE, number: int = 0) -> npt.NDArray[np.uint8]:
    """(h, w, 3) uint8 RGB: four quarters of plain colour and a bar that moves with ``number``."""
    width, height = size
    rgb = np.empty((height, width, 3), np.uint8)
    rgb[: height // 2, : width // 2] = (200, 60, 60)
    rgb[: height // 2, width // 2 :] = (60, 180, 60)
    rgb[height // 2 :, : width // 2] = (70, 70, 200)
    rgb[height // 2 :, width // 2 :] = (230, 230, 230)
    left = (number * 4) % width
    rgb[height // 2 - 4 : height // 2 + 4, left : left + 8] = 20
    return rgb


def picture(pixel_format: str, size: tuple[int, int] = SIZE, *, number: int = 0, full_range: bool | None = None) -> av.VideoFrame:
    """A test card as libav would decode it; ``full_range`` tags it, None leaves the tag to the conversion."""
    rgb = av.VideoFrame.from_ndarray(card(size, number), format="rgb24")
    if full_range is None:
        return rgb.reformat(format=pixel_format)
    wanted = ColorRange.JPEG if full_range else ColorRange.MPEG
    made = rgb.reformat(format=pixel_format, src_color_range=ColorRange.JPEG, dst_color_range=wanted)
    made.color_range = wanted
    return made


@contextmanager
def ordinary_priority() -> Iterator[None]:
    """Give the thread its scheduling policy back: SVT-AV1 makes the thread of root that opens an encoder a real-time one."""
    policy, param = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, param)


def write_clip(
    path: Path,
    *,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    size: tuple[int, int] = SIZE,
    frames: int = 10,
    pts_ms: Iterable[int] | None = None,
    tags: Mapping[str, str] | None = None,
    options: Mapping[str, str] | None = None,
    muxing: Mapping[str, str] | None = None,
    still: bool = False,
) -> Path:
    """Encode test cards and return the path.

    Args:
        path: The file; its suffix chooses the container.
        codec: libav's encoder; ``pixel_format`` libav's pixel format.
        size: (width, height) in pixels.
        frames: Number of frames.
        pts_ms: Their times in milliseconds; None for 25 per second.
        tags: Metadata of the container; ``options`` of the encoder; ``muxing`` options of the container.
        still: Whether every frame is the same.
    """
    with ordinary_priority(), av.open(str(path), "w", options=dict(muxing or {})) as container:
        container.metadata.update(tags or {})
        stream = container.add_stream(codec, rate=RATE, options=dict(options or {}))
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = size
        stream.pix_fmt = pixel_format
        stream.codec_context.thread_count = 1
        if pts_ms is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        times = list(pts_ms) if pts_ms is not None else list(range(frames))
        for number, pts in enumerate(times):
            frame = av.VideoFrame.from_ndarray(card(size, 0 if still else number), format="rgb24").reformat(format=pixel_format)
            frame.pts, frame.time_base = pts, stream.codec_context.time_base or Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_sound(path: Path) -> Path:
    """A recording without a picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        for number in range(4):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 8000, number * 1024
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def rotate_tag(path: Path, clockwise_degrees: int) -> None:
    """Write the display matrix of an mp4 or mov, as phones do: players show it turned clockwise."""
    content = bytearray(path.read_bytes())
    start = content.index(b"tkhd") + _MATRIX_OFFSET
    a, b, c, d = (value * 0x10000 for value in _ROTATED[clockwise_degrees])
    matrix = (a, b, 0, c, d, 0, 0, 0, 0x40000000)
    content[start : start + 36] = b"".join(value.to_bytes(4, "big", signed=True) for value in matrix)
    path.write_bytes(content)


def flip_bits(content: bytes, places: Iterable[int]) -> bytes:
    """The same bytes with the given bits (counted from the start, modulo the length) inverted."""
    damaged = bytearray(content)
    for place in places:
        damaged[place // 8 % len(damaged)] ^= 1 << (place % 8)
    return bytes(damaged)


def as_bgr(rgb: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """The test card as the detector should see it."""
    return np.asarray(cv2.resize(rgb[:, :, ::-1], size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def quarters(image: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    """Mean of the middle of each quarter, clockwise from the top left: (4,) or (4, channels)."""
    height, width = image.shape[:2]
    middles = ((1, 1), (1, 3), (3, 3), (3, 1))
    means = []
    for down, along in middles:
        top, left = height * down // 4, width * along // 4
        part = image[top - height // 12 : top + height // 12, left - width // 12 : left + width // 12]
        means.append(part.astype(np.float64).mean(axis=(0, 1)))
    return np.stack(means)


def portrait_clip(path: Path, *, turned: bool = False) -> Path:
    """A second of a face that ships with matplotlib; upside down if ``turned``."""
    from matplotlib.cbook import get_sample_data
    from matplotlib.image import imread

    portrait = np.asarray(imread(get_sample_data("grace_hopper.jpg", asfileobj=False)))[:: -1 if turned else 1, :: -1 if turned else 1]
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = portrait.shape[1] // 2 * 2, portrait.shape[0] // 2 * 2, "yuv420p"
        for _ in range(10):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(portrait[: stream.height, : stream.width, :3]), format="rgb24")
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path
