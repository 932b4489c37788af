"""The interface of every source of frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from ferstream.domain.frame import Frame


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """The format of an opened source.

    Attributes:
        width: Displayed width in stored pixels (after rotation).
        height: Displayed height in stored pixels.
        fps: Nominal frames per second, 0 when unknown.
        frames: Number of frames, as the container states or as estimated from its duration; None when unknown.
        duration_s: Duration in seconds; None when unknown.
        codec: Codec and pixel format for people, e.g. ``h264 (yuv420p)``.
        choice: Which of several video streams is read, for people; empty if there is only one.
        pixel_aspect: Width of a displayed pixel divided by its height, in the first picture.
    """

    width: int
    height: int
    fps: float
    frames: int | None
    duration_s: float | None
    codec: str
    choice: str = ""
    pixel_aspect: float = 1.0


class Source(Protocol):
    """One connection to a camera or one pass over a recording. One thread uses it; any thread may call ``close``."""

    @property
    def last_activity_ns(self) -> int:
        """Monotonic time in nanoseconds when the source was last active; 0 before its first picture. Any thread.

        Every decoded picture counts, also those that ``analysis_fps`` skips. A source that waits until the next picture
        is due (a recording in real time) returns that future time.
        """
        ...

    def open(self) -> SourceInfo:
        """Connect and read the format.

        Raises:
            SourceError: The source cannot be read; subclasses tell the cause.
        """
        ...

    def frames(self) -> Iterator[Frame]:
        """Yield the frames to analyse, in order; ends at the end of a recording.

        Raises:
            SourceError: The connection broke.
        """
        ...

    def close(self) -> None:
        """Release everything; any thread, more than once, also while ``frames`` waits in another thread."""
        ...
