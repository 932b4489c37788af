"""Finds what a reader of events missed: gaps, doubles and disorder, from ``seq`` alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ferstream.events.payload import MODELS
from ferstream.events.schemas import FACE, NODE, TRACK

NUMBERED = frozenset({FACE, TRACK})
"""Schemas whose every message counts; states and summaries are latest values, which may be skipped."""

StreamKey = tuple[str, str, str]
"""boot_id, camera, schema."""


@dataclass(slots=True)
class StreamReport:
    """The messages of one numbered stream, as they were received.

    Attributes:
        first: Lowest number seen; the reader may have started after earlier ones.
        last: Highest number seen.
        received: Messages, doubles included.
        doubles: Messages seen before; delivery is at least once, so a reconnect makes some.
        late: Messages that came after a higher number, filling a gap.
        missing: Ranges (from, to), both included, in ascending order.
    """

    first: int
    last: int
    received: int = 1
    doubles: int = 0
    late: int = 0
    missing: list[tuple[int, int]] = field(default_factory=list)

    @property
    def missing_count(self) -> int:
        """Numbers never seen."""
        return sum(high - low + 1 for low, high in self.missing)

    def add(self, seq: int) -> None:
        """Count the next message, by its number."""
        self.received += 1
        if seq > self.last:
            if seq > self.last + 1:
                self.missing.append((self.last + 1, seq - 1))
            self.last = seq
        elif seq < self.first:
            if seq < self.first - 1:
                self.missing.insert(0, (seq + 1, self.first - 1))
            self.first, self.late = seq, self.late + 1
        elif self._fill(seq):
            self.late += 1
        else:
            self.doubles += 1

    def _fill(self, seq: int) -> bool:
        for index, (low, high) in enumerate(self.missing):
            if low <= seq <= high:
                rest = [(low, seq - 1), (seq + 1, high)]
                self.missing[index : index + 1] = [part for part in rest if part[0] <= part[1]]
                return True
        return False


class GapFinder:
    """Counts the messages of any number of streams."""

    def __init__(self) -> None:
        """Start without streams."""
        self._streams: dict[StreamKey, StreamReport] = {}
        self._strange = 0

    @property
    def streams(self) -> Mapping[StreamKey, StreamReport]:
        """Every stream seen, in order of appearance."""
        return self._streams

    @property
    def strange(self) -> int:
        """Messages that are not ferstream events."""
        return self._strange

    @property
    def missing(self) -> int:
        """Numbers never seen, in all streams."""
        return sum(stream.missing_count for stream in self._streams.values())

    @property
    def late(self) -> int:
        """Messages out of order, in all streams."""
        return sum(stream.late for stream in self._streams.values())

    def add(self, message: object) -> None:
        """Count one decoded message."""
        schema = message.get("schema") if isinstance(message, dict) else None
        if schema == NODE:
            return
        if not isinstance(message, dict) or schema not in MODELS:
            self._strange += 1
        elif schema in NUMBERED:
            self._count(schema, message.get("boot_id"), message.get("camera"), message.get("seq"))

    def _count(self, schema: str, boot_id: object, camera: object, seq: object) -> None:
        if not isinstance(boot_id, str) or not isinstance(camera, str) or type(seq) is not int:
            self._strange += 1
            return
        stream = self._streams.get((boot_id, camera, schema))
        if stream is None:
            self._streams[boot_id, camera, schema] = StreamReport(first=seq, last=seq)
        else:
            stream.add(seq)
