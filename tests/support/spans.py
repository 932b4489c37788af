"""Recordings cut into parts, and the frames of a source in a form that can be compared."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from ferstream.capture.source import Source
from ferstream.capture.span import Span
from ferstream.domain.frame import Frame


@dataclass(frozen=True)
class Seen:
    """Everything of a frame that decides about its events."""

    index: int
    media_time_ns: int
    captured_at_ns: int
    size: tuple[int, int]
    luma: str
    image: str


def seen(frame: Frame) -> Seen:
    """Return a frame in a form that can be compared."""
    info, luma = frame.info, frame.luma
    grey = hashlib.sha256(repr((luma.plane.shape, luma.limited, luma.bits)).encode() + np.ascontiguousarray(luma.plane).tobytes())
    image = hashlib.sha256(repr(frame.detection_image.shape).encode() + np.ascontiguousarray(frame.detection_image).tobytes())
    size = (info.width, info.height)
    return Seen(info.index, info.media_time_ns, info.captured_at_ns, size, grey.hexdigest(), image.hexdigest())


def frames_of(source: Source) -> list[Seen]:
    """Open a source, return all of its frames, and close it."""
    try:
        source.open()
        return [seen(frame) for frame in source.frames()]
    finally:
        source.close()


def cut(path: Path, *, overlap: int = 3, every: int = 1) -> list[Span]:
    """Cut a recording at its key frames, of which only each ``every``-th is used; all of it is decoded for that."""
    with av.open(str(path)) as container:
        pictures = [(int(picture.pts or 0), bool(picture.key_frame)) for picture in container.decode(video=0)]
    pts = [timestamp for timestamp, _ in pictures]
    starts = [number for number, (_, is_key) in enumerate(pictures) if is_key][::every]
    return spans(pts, starts, overlap=overlap)


def spans(pts: Sequence[int], starts: Sequence[int], *, overlap: int = 3) -> list[Span]:
    """Cut a list of timestamps at the pictures with these numbers."""
    found = []
    for start, stop in zip(starts, [*starts[1:], len(pts)], strict=True):
        own, behind = np.array(pts[start:stop], np.int64), np.array(pts[stop : stop + overlap], np.int64)
        previous = pts[start - 1] if start else None
        found.append(Span(first_frame=start, pts=own, overlap=behind, origin_pts=pts[0], previous_pts=previous))
    return found
