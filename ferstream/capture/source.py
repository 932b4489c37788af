"""The seam of capture: anything that yields frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from ferstream.domain.frame import Frame


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What an opened source says of itself.

    Attributes:
        width: Displayed width in pixels (after rotation).
        height: Displayed height in pixels.
        fps: Nominal frames per second, 0 when unknown.
        frames: Number of frames if the container tells or it can be estimated, else None.
        duration_s: Duration in seconds if known, else None.
        codec: Codec name for people, e.g. ``h264 (yuv420p)``.
    """

    width: int
    height: int
    fps: float
    frames: int | None
    duration_s: float | None
    codec: str


class Source(Protocol):
    """One connection to a camera or one pass over a recording. Used by one thread, except ``close``."""

    @property
    def last_activity_ns(self) -> int:
        """Monotonic clock of the last decoded picture, yielded or not (later: nothing is due before); 0 before the first. Any thread."""
        ...

    def open(self) -> SourceInfo:
        """Connect and read the format.

        Raises:
            SourceError: It cannot be read; subclasses say why.
        """
        ...

    def frames(self) -> Iterator[Frame]:
        """Yield the frames to analyse, in order; ends at the end of a recording.

        Raises:
            SourceError: The connection broke.
        """
        ...

    def close(self) -> None:
        """Release everything; any thread, more than once, also while ``frames`` blocks."""
        ...
