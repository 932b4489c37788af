"""A source that tells what it opened."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ferstream.capture.source import Source, SourceInfo
from ferstream.domain.frame import Frame


class ReportedSource:
    """A source that passes the format of what it opened to a function; otherwise the same source. See ``Source`` for threads."""

    def __init__(self, source: Source, *, on_open: Callable[[SourceInfo], None]) -> None:
        """Set up; nothing is opened yet.

        Args:
            source: The source.
            on_open: Called with the format after each successful ``open``, in the thread that reads.
        """
        self._source, self._on_open = source, on_open

    @property
    def last_activity_ns(self) -> int:
        """See ``Source``."""
        return self._source.last_activity_ns

    def open(self) -> SourceInfo:
        """Open the source and report its format."""
        info = self._source.open()
        self._on_open(info)
        return info

    def frames(self) -> Iterator[Frame]:
        """See ``Source``."""
        return self._source.frames()

    def close(self) -> None:
        """See ``Source``."""
        self._source.close()
