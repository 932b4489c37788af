"""Writes a video without sound: H.264 in MP4, under a temporary name until it is complete. One thread."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from ferstream.capture.full_pictures import Colours
from ferstream.errors import OutputError

Plane = npt.NDArray[np.uint8]

_ENCODERS: tuple[tuple[str, dict[str, str]], ...] = (
    ("libx264", {"preset": "veryfast", "crf": "20", "bf": "0"}),
    ("libopenh264", {}),
    ("mpeg4", {"qmin": "2", "qmax": "5"}),
)
"""Encoders in the order of preference, and their options. Without pictures that are decoded in another order than shown: with them, MP4
files of uneven times have a wrong length."""
_LEAST_TICKS = 10_000
"""Ticks of the clock a second at least, so that uneven distances between pictures are kept."""
_MOST_TICKS = 240_000
_NEUTRAL = 128
_KEY_FRAME_S = 2.0
_DURATIONS_ARE_GIVEN = 1 << 8
"""AV_CODEC_FLAG_FRAME_DURATION of libavcodec."""
_BITS_PER_PIXEL = 0.15
"""Of encoders that have no constant quality."""


@dataclass(frozen=True, slots=True)
class VideoFormat:
    """What holds for all pictures of a video.

    Attributes:
        width: In pixels; the file has one more if it is odd, because 4:2:0 needs an even number.
        height: In pixels, as ``width``.
        rate: Pictures per second; None if unknown.
        pixel_aspect: Width of a pixel divided by its height.
        colours: What the numbers of the pictures mean.
    """

    width: int
    height: int
    rate: Fraction | None = None
    pixel_aspect: float = 1.0
    colours: Colours = field(default_factory=Colours)

    @property
    def ticks_per_s(self) -> int:
        """Ticks of the file's clock in a second: a multiple of the rate where that is exact."""
        if self.rate is None or self.rate.numerator > _MOST_TICKS:
            return 90_000
        return int(self.rate.numerator) * max(1, -(-_LEAST_TICKS // self.rate.numerator))


class OutputPicture:
    """A picture to draw in and to write.

    Attributes:
        luma: (height, width) uint8, 16..235.
        chroma: Two planes (ceil(height / 2), ceil(width / 2)) uint8, 16..240, neutral at 128.
    """

    __slots__ = ("chroma", "frame", "luma")

    def __init__(self, width: int, height: int) -> None:
        """Make a black picture of a size in pixels."""
        self.frame = av.VideoFrame(width + width % 2, height + height % 2, "yuv420p")
        planes = [np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, -1)[:, : plane.width] for plane in self.frame.planes]
        planes[0][:], planes[1][:], planes[2][:] = 16, _NEUTRAL, _NEUTRAL
        self.luma: Plane = planes[0][:height, :width]
        self.chroma: tuple[Plane, Plane] = (planes[1], planes[2])

    def fill_margin(self) -> None:
        """Repeat the last row and column in what an odd size leaves empty."""
        whole = np.frombuffer(memoryview(self.frame.planes[0]), np.uint8).reshape(self.frame.height, -1)[:, : self.frame.width]
        height, width = self.luma.shape
        whole[:height, width:] = whole[:height, width - 1 : width]
        whole[height:] = whole[height - 1 : height]


def part_path(path: Path) -> Path:
    """Return the name of a video while it is written."""
    return path.with_name(f"{path.name}.part")


class VideoFile:
    """One video; ``finish`` gives it its name."""

    def __init__(self, path: Path, video_format: VideoFormat) -> None:
        """Open the file under its temporary name.

        Args:
            path: Name of the finished file, ``.mp4``.
            video_format: What holds for all pictures.

        Raises:
            OutputError: The file cannot be made.
        """
        self.path, self._format = path, video_format
        self._part = part_path(path)
        self._waiting: tuple[av.VideoFrame, int] | None = None
        self._last_tick = -1
        self.pictures = 0
        """Pictures written."""
        with self._translated():
            _make_private(self._part)  # PyAV opens it with the first picture
            self._container = av.open(str(self._part), "w", format="mp4", options={"movflags": "+faststart"})
            self._stream = self._add_stream()

    def write(self, picture: OutputPicture, media_time_ns: int) -> None:
        """Write the next picture.

        Args:
            picture: The picture; not used afterwards by the caller.
            media_time_ns: Its media time in nanoseconds, greater than that of the one before.

        Raises:
            OutputError: The disk is full, or the encoder refuses.
        """
        tick = max(self._last_tick + 1, round(Fraction(media_time_ns * self._format.ticks_per_s, 1_000_000_000)))
        self._last_tick = tick
        picture.fill_margin()
        picture.frame.pts, picture.frame.time_base = tick, Fraction(1, self._format.ticks_per_s)
        waiting, self._waiting = self._waiting, (picture.frame, tick)
        self.pictures += 1
        if waiting is not None:
            self._encode(waiting[0], tick - waiting[1])

    def finish(self, *, last_ns: int) -> None:
        """Write what the encoder holds and the index, and give the file its name.

        Args:
            last_ns: How long the last picture is shown, in nanoseconds.

        Raises:
            OutputError: The disk is full.
        """
        if self._waiting is not None:
            self._encode(self._waiting[0], max(1, round(last_ns * self._format.ticks_per_s / 1e9)))
        with self._translated():
            for packet in self._stream.encode(None):
                self._container.mux(packet)
            self._container.close()
            with self._part.open("rb") as file:
                os.fsync(file.fileno())
            self._part.replace(self.path)

    def abandon(self) -> None:
        """Close and remove the file; after ``finish`` this does nothing."""
        with contextlib.suppress(av.FFmpegError, OSError):
            self._container.close()
        with contextlib.suppress(OSError):
            self._part.unlink(missing_ok=True)

    def _add_stream(self) -> Any:
        rate = self._format.rate or Fraction(25)
        name, options = next((name, options) for name, options in _ENCODERS if _is_available(name))
        stream: Any = self._container.add_stream(name, rate=rate, options=options)
        stream.width = self._format.width + self._format.width % 2
        stream.height = self._format.height + self._format.height % 2
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        stream.time_base = context.time_base = Fraction(1, self._format.ticks_per_s)
        context.flags |= _DURATIONS_ARE_GIVEN
        context.gop_size = max(1, round(_KEY_FRAME_S * min(float(rate), 240.0)))
        context.sample_aspect_ratio = Fraction(self._format.pixel_aspect).limit_denominator(255)
        if name != "libx264":
            context.bit_rate = int(_BITS_PER_PIXEL * stream.width * stream.height * float(rate))
        colours = self._format.colours
        context.colorspace, context.color_primaries, context.color_trc = colours.matrix, colours.primaries, colours.transfer
        context.color_range = 1
        return stream

    def _encode(self, frame: av.VideoFrame, ticks: int) -> None:
        frame.duration = ticks
        with self._translated():
            for packet in self._stream.encode(frame):
                self._container.mux(packet)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (av.FFmpegError, OSError) as exc:
            raise OutputError(f"cannot write the video {self.path}: {getattr(exc, 'strerror', None) or exc}") from exc


def _make_private(path: Path) -> None:
    """Make an empty file that only its owner may read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)


def _is_available(name: str) -> bool:
    try:
        av.Codec(name, "w")
    except ValueError:  # UnknownCodecError is one
        return False
    return True
