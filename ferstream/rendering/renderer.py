"""Makes the annotated video of one recording while it is analysed: a thread decodes the recording a second time, a little behind.

The thread waits for the analysis, and the analysis waits for it when it is more than a channel of frames ahead, so that memory does not
grow with the recording. Being behind, it knows the faces of the next seconds: a face that the detector misses for a moment is between
two sightings, and one that it has not found yet can be hidden already.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from ferstream.capture.full_pictures import FullPicture, FullPictures
from ferstream.capture.geometry import AS_THE_SOURCE_SAYS, PictureOptions
from ferstream.detection.mask import PrivacyMask
from ferstream.domain.event import LabelledFrame
from ferstream.domain.face import Face
from ferstream.domain.frame import FrameInfo
from ferstream.errors import ClosedError, FerstreamError
from ferstream.rendering.canvas import Canvas
from ferstream.rendering.findings import NS_PER_S, Detections, Findings
from ferstream.rendering.hiding import hide, hide_all
from ferstream.rendering.overlay import Overlay, OverlayOptions
from ferstream.rendering.video_file import OutputPicture, VideoFile, VideoFormat
from ferstream.runtime.channel import Channel

CHANNEL_FRAMES = 64
"""Labelled frames that may wait for the drawing thread."""
AHEAD_S = 2.0
"""Seconds that the analysis is ahead of a picture when it is drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderOptions:
    """How the video of a recording is drawn.

    Attributes:
        blur: Whether faces are hidden.
        points: Whether the five landmarks are drawn; hidden faces have none.
        analysis_fps: Frames that are analysed per second of media time; 0 = every frame.
        picture: Rotation, mirror and pixel aspect of the camera that made the recording.
        mask: Its privacy masks, which are painted.
    """

    blur: bool = False
    points: bool = True
    analysis_fps: float = 0.0
    picture: PictureOptions = AS_THE_SOURCE_SAYS
    mask: PrivacyMask = field(default_factory=PrivacyMask)


class Renderer:
    """Draws one recording. ``add`` and ``add_detections`` are for the pipeline's threads, the rest for the owner."""

    def __init__(self, source: Path, out: Path, options: RenderOptions) -> None:
        """Keep the parts; ``start`` begins.

        Args:
            source: The recording, no pipe.
            out: The video; it has this name when ``finish`` returns.
            options: How it is drawn.
        """
        period_s = 1 / options.analysis_fps if options.analysis_fps else 0.0
        self.out, self._options = out, options
        self._on_failure: Callable[[str, Exception], None] = lambda name, error: None
        self._pictures = FullPictures(source, picture=options.picture)
        self._findings = Findings(longest_gap_s=max(2.0, 2 * period_s))
        self._detections = Detections()
        self._ahead_ns = round(max(AHEAD_S, 2 * period_s) * NS_PER_S)
        self._labelled: Channel[LabelledFrame] = Channel(capacity=CHANNEL_FRAMES)
        self._file: VideoFile | None = None
        self._size = (0, 0)
        self._ended = self._complete = self._abandoned = False
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name=f"video-{out.stem}", daemon=True)

    @property
    def pictures(self) -> int:
        """Pictures written so far."""
        return 0 if self._file is None else self._file.pictures

    @property
    def hides_faces(self) -> bool:
        """Whether it needs ``add_detections``."""
        return self._options.blur

    def start(self, *, on_failure: Callable[[str, Exception], None] | None = None) -> None:
        """Start the drawing thread.

        Args:
            on_failure: Called by it with "video" and the error that ends it; ``finish`` raises the same.
        """
        self._on_failure = on_failure or self._on_failure
        self._thread.start()

    def add(self, frame: LabelledFrame) -> None:
        """Take the next labelled frame; waits while the drawing thread is too far behind."""
        with suppress(ClosedError):  # drawing has ended or failed; the failure is raised by finish
            self._labelled.put(frame)

    def add_detections(self, info: FrameInfo, faces: tuple[Face, ...]) -> None:
        """Take everything that the detector found in a frame, in any order of the frames, before the frame is labelled."""
        self._detections.add(info, faces)

    def finish(self, *, complete: bool) -> None:
        """Wait for the end of the drawing and give the video its name.

        Args:
            complete: Whether the recording was analysed to its end; otherwise the video ends where the analysis ended.

        Raises:
            FerstreamError: The recording cannot be read again, or the video cannot be written; it is removed then.
        """
        self._complete = complete
        self._labelled.close()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def abandon(self) -> None:
        """End the drawing and remove what is written; after ``finish`` this does nothing."""
        self._complete, self._abandoned = False, True
        self._labelled.abandon()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            self._draw_all()
        except Exception as exc:  # noqa: BLE001 (thread boundary: raised again by finish)
            self._failure = exc if isinstance(exc, FerstreamError) else FerstreamError(f"{self.out}: drawing failed: {exc}")
            if self._file is not None:
                self._file.abandon()
            self._on_failure("video", self._failure)
        finally:
            self._labelled.abandon()

    def _draw_all(self) -> None:
        last_ns = 0
        for picture in self._pictures.pictures():
            self._wait_for(picture.media_time_ns + self._ahead_ns)
            if self._ended and not self._complete and picture.media_time_ns > self._findings.until_ns:
                break
            self._write(picture)
            last_ns = picture.media_time_ns
            for memory in (self._findings, self._detections):
                memory.forget_before(last_ns)
        self._wait_for(None)
        if self._file is not None and self._abandoned:
            self._file.abandon()
        elif self._file is not None:
            self._file.finish(last_ns=self._pictures.step_ns)

    def _wait_for(self, until_ns: int | None) -> None:
        """Take labelled frames up to a moment, or all of them."""
        while not self._ended and (until_ns is None or self._findings.until_ns < until_ns):
            try:
                self._findings.add(self._labelled.get())
            except ClosedError:
                self._ended = True

    def _write(self, picture: FullPicture) -> None:
        if self._file is None:
            self._size = picture.size
            video = VideoFormat(*picture.size, self._pictures.rate, picture.pixel_aspect, picture.colours)
            self._file = VideoFile(self.out, video)
        drawn = OutputPicture(*picture.size)
        drawn.luma[:] = picture.luma
        for plane, source in zip(drawn.chroma, picture.chroma, strict=True):
            plane[:] = source
        self._paint(drawn, picture)
        self._file.write(drawn if picture.size == self._size else _fitted(drawn, self._size), picture.media_time_ns)

    def _paint(self, drawn: OutputPicture, picture: FullPicture) -> None:
        at_ns = picture.media_time_ns
        faces = self._findings.faces_at(at_ns)
        if self._options.blur:
            if self._detections.knows(at_ns):
                hide(drawn.luma, drawn.chroma, self._detections.places_at(at_ns, [face.box for face in faces]))
            else:  # this picture was lost before the detector saw it
                hide_all(drawn.luma, drawn.chroma)
        if self._options.mask:
            for plane in (drawn.luma, *drawn.chroma):
                self._options.mask.apply(plane)
        canvas = Canvas(drawn.luma, drawn.chroma, is_bt709=picture.is_bt709, pixel_aspect=picture.pixel_aspect)
        Overlay(canvas, OverlayOptions(points=self._options.points and not self._options.blur)).draw(faces)


def _fitted(picture: OutputPicture, size: tuple[int, int]) -> OutputPicture:
    """Return a picture scaled to fit into another size, in the middle of black: the recording changed its size on the way."""
    width, height = size
    fitted = OutputPicture(width, height)
    high, wide = picture.luma.shape
    scale = min(width / wide, height / high)
    new_w, new_h = max(2, round(wide * scale / 2) * 2), max(2, round(high * scale / 2) * 2)
    new_w, new_h = min(new_w, width), min(new_h, height)
    left, top = (width - new_w) // 4 * 2, (height - new_h) // 4 * 2
    fitted.luma[top : top + new_h, left : left + new_w] = _resized(picture.luma, new_w, new_h)
    for plane, source in zip(fitted.chroma, picture.chroma, strict=True):
        part = plane[top // 2 : (top + new_h + 1) // 2, left // 2 : (left + new_w + 1) // 2]
        part[:] = _resized(source, part.shape[1], part.shape[0])
    return fitted


def _resized(
    plane: np.ndarray[tuple[int, int], np.dtype[np.uint8]], width: int, height: int
) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    return np.asarray(cv2.resize(np.ascontiguousarray(plane), (width, height), interpolation=cv2.INTER_AREA), np.uint8)
