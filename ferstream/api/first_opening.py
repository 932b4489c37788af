"""Whether the first connection to a camera succeeded: ``watch`` raises the error of a source that cannot be opened at all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from ferstream.capture.source import Source, SourceInfo
from ferstream.domain.frame import Frame
from ferstream.errors import FerstreamError


class FirstOpening:
    """The result of the first ``open`` of a source; later connections are not concerned."""

    def __init__(self, on_result: Callable[[FerstreamError | None], None]) -> None:
        """Wait for the first connection.

        Args:
            on_result: Called once with the error, or with None where the source was opened; in the thread that reads.
        """
        self._on_result = on_result
        self._lock = threading.Lock()
        self._known = False

    def watched(self, source: Source) -> Source:
        """Return the same source, whose first ``open`` is reported."""
        return _WatchedSource(source, self.report)

    def report(self, error: FerstreamError | None) -> None:
        """Report the result of an ``open``; only the first one counts."""
        with self._lock:
            first, self._known = not self._known, True
        if first:
            self._on_result(error)


class _WatchedSource:
    """A source that reports the result of ``open``; otherwise the same source. See ``Source`` for threads."""

    def __init__(self, source: Source, report: Callable[[FerstreamError | None], None]) -> None:
        self._source, self._report = source, report

    @property
    def last_activity_ns(self) -> int:
        return self._source.last_activity_ns

    def open(self) -> SourceInfo:
        try:
            info = self._source.open()
        except FerstreamError as exc:
            self._report(exc)
            raise
        self._report(None)
        return info

    def frames(self) -> Iterator[Frame]:
        return self._source.frames()

    def close(self) -> None:
        self._source.close()
