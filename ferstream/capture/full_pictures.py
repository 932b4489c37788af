"""A recording once more, at full size and in colour: the same pictures with the same numbers and times as ``FileSource`` gives.

One thread, that of the reader of the pictures.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange

from ferstream.capture.display_matrix import VideoOrientation
from ferstream.capture.display_name import display_name
from ferstream.capture.geometry import AS_THE_SOURCE_SAYS, Geometry, PictureOptions
from ferstream.capture.libav import VideoInput
from ferstream.capture.options import Decoding
from ferstream.capture.planes import LAYOUTS, is_limited
from ferstream.capture.recording_file import RecordingFile
from ferstream.capture.timing import MediaTimeline

Plane = npt.NDArray[np.uint8]

_DIRECT = ("yuv420p", "yuvj420p")
"""Formats whose planes are used as they are."""
_LEVELS = np.arange(256)
_LUMA_TO_LIMITED = np.rint(16 + _LEVELS * (219 / 255)).astype(np.uint8)
_CHROMA_TO_LIMITED = np.rint(128 + (_LEVELS - 128) * (224 / 255)).astype(np.uint8)
_UNSPECIFIED, _BT601, _BT709 = 2, 6, 1
_HD_PX = 720


@dataclass(frozen=True, slots=True)
class Colours:
    """What the numbers of a picture mean, as in the tables of H.273; 2 is unspecified.

    Attributes:
        matrix: From RGB to luma and chroma.
        primaries: The colours of the three components.
        transfer: From light to a component.
    """

    matrix: int = _UNSPECIFIED
    primaries: int = _UNSPECIFIED
    transfer: int = _UNSPECIFIED


@dataclass(frozen=True, slots=True)
class FullPicture:
    """One picture as it is displayed, 4:2:0 in limited range.

    Attributes:
        index: Number of the picture, as in ``FrameInfo``.
        media_time_ns: Its media time, as in ``FrameInfo``.
        luma: (height, width) uint8, 16..235; a view of the decoder's memory, read only.
        chroma: Two planes (ceil(height / 2), ceil(width / 2)) uint8, 16..240; as ``luma``.
        pixel_aspect: Width of a pixel divided by its height.
        colours: What the numbers mean.
    """

    index: int
    media_time_ns: int
    luma: Plane
    chroma: tuple[Plane, Plane]
    pixel_aspect: float
    colours: Colours

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.luma.shape[1], self.luma.shape[0]

    @property
    def is_bt709(self) -> bool:
        """Whether the numbers are those of BT.709; players guess by the size where the recording does not say."""
        return self.colours.matrix == _BT709 or (self.colours.matrix == _UNSPECIFIED and min(self.size) >= _HD_PX)


class FullPictures:
    """One pass over the pictures of a recording."""

    def __init__(self, path: Path, *, picture: PictureOptions = AS_THE_SOURCE_SAYS, decoding: Decoding | None = None) -> None:
        """Set up; the file is not opened yet.

        Args:
            path: The recording, no pipe.
            picture: Rotation, mirror and pixel aspect from the settings.
            decoding: Threads of the decoder, and the largest picture.
        """
        self._path, self._picture, self._decoding = path, picture, decoding or Decoding()
        self._orientation = VideoOrientation()
        self._video: VideoInput | None = None
        self.rate: Fraction | None = None
        """Pictures per second, once it is open; None if the container does not say."""
        self.step_ns = 0
        """Nominal time from picture to picture in nanoseconds, once it is open."""

    def pictures(self) -> Iterator[FullPicture]:
        """Open the file and yield its pictures in order; damaged ones are left out, as in ``FileSource``.

        Raises:
            SourceError: The file cannot be read.
        """
        file = RecordingFile(self._path, name=display_name(str(self._path)), max_pixels=self._decoding.max_pixels)
        video = self._video = VideoInput(
            container=file.open_container(), decoding=self._decoding, name=display_name(str(self._path)), on_closed=file.release
        )
        self.rate, self.step_ns = video.rate, video.step_ns
        timeline = MediaTimeline(step_ns=video.step_ns, longest_gap_ns=video.longest_gap_ns)
        try:
            decoded = video.frames(on_decoded=lambda seconds: None, on_damaged=lambda count: None, strict=False)
            first = next(decoded, None)
            for index, picture in enumerate(chain(() if first is None else (first,), decoded)):
                yield self._full(picture, index, timeline.at(video.pts_ns(picture)), video.pixel_aspect(picture))
        finally:
            video.close()

    def _full(self, decoded: av.VideoFrame, index: int, media_time_ns: int, pixel_aspect: float) -> FullPicture:
        geometry = self._picture.applied_to(Geometry(self._orientation.of(decoded), pixel_aspect))
        luma, first, second, colours = _planes(decoded)
        shown = [geometry.orientation.copy(plane) for plane in (luma, first, second)]
        return FullPicture(index, media_time_ns, shown[0], (shown[1], shown[2]), geometry.displayed_pixel_aspect, colours)


def _planes(decoded: av.VideoFrame) -> tuple[Plane, Plane, Plane, Colours]:
    """Return the planes of a picture of any format as 4:2:0 of 8 bits in limited range, as stored, and their colours."""
    colours = Colours(int(decoded.colorspace), int(decoded.color_primaries), int(decoded.color_trc))
    layout = LAYOUTS.get(decoded.format.name)
    limited = layout is None or is_limited(decoded, layout)
    if decoded.format.is_rgb or decoded.format.name == "pal8":
        colours, decoded, limited = Colours(_BT601, _BT709, _BT709), decoded.reformat(format="yuv420p"), True
    elif decoded.format.name not in _DIRECT:
        stored = ColorRange.MPEG if limited else ColorRange.JPEG
        decoded, limited = decoded.reformat(format="yuv420p", src_color_range=stored, dst_color_range=ColorRange.MPEG), True
    planes = [_view(decoded, number) for number in range(3)]
    if not limited:
        tables = (_LUMA_TO_LIMITED, _CHROMA_TO_LIMITED, _CHROMA_TO_LIMITED)
        planes = [np.asarray(cv2.LUT(plane, table), np.uint8) for plane, table in zip(planes, tables, strict=True)]
    return planes[0], planes[1], planes[2], colours


def _view(decoded: av.VideoFrame, number: int) -> Plane:
    plane = decoded.planes[number]
    view = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, -1)[:, : plane.width]
    view.flags.writeable = False
    return view
