"""The result of the first connection to a camera: reported once, whatever later connections bring."""

from __future__ import annotations

import pytest

from ferstream.api.first_opening import FirstOpening
from ferstream.capture.demo import DemoSource
from ferstream.capture.source import SourceInfo
from ferstream.errors import FerstreamError, SourceError
from ferstream.runtime.counters import Counters


class Refusing(DemoSource):
    """A source that cannot be opened."""

    def open(self) -> SourceInfo:
        raise SourceError("no camera")


def source(kind: type[DemoSource]) -> DemoSource:
    return kind(camera="door", observer=Counters(), realtime=False, seconds=0.1)


def test_a_source_that_opens_is_reported_once_and_is_the_same_source() -> None:
    results: list[FerstreamError | None] = []
    opening = FirstOpening(results.append)
    watched = opening.watched(source(DemoSource))
    assert watched.open().fps == 25
    assert len(list(watched.frames())) == 2
    assert watched.last_activity_ns > 0
    watched.close()
    with pytest.raises(SourceError):
        opening.watched(source(Refusing)).open()
    assert results == [None]


def test_a_source_that_cannot_be_opened_is_reported_with_its_error() -> None:
    results: list[FerstreamError | None] = []
    opening = FirstOpening(results.append)
    with pytest.raises(SourceError):
        opening.watched(source(Refusing)).open()
    opening.watched(source(DemoSource)).open()
    assert [str(error) for error in results] == ["no camera"]
