"""The libav input: closed by another thread, read errors, damaged packets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import av
import pytest

from ferstream.capture.libav import VideoInput
from ferstream.capture.options import Decoding
from ferstream.capture.recording import FileSource
from ferstream.runtime.counters import Counters
from tests.support import clips
from tests.support.threads import Task

MS = 1_000_000
Read = Callable[..., FileSource]


class CloseWhileDecoding(Counters):
    """Calls ``close`` in another thread while a packet is decoded; the decoding thread holds the lock meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.close: Callable[[], None] | None = None

    def duration(self, stage: str, seconds: float) -> None:
        super().duration(stage, seconds)
        if stage == "decode" and self.close is not None:
            Task(self.close).result()


def test_pictures_after_a_close_are_not_counted_as_missing(long_clip: Path) -> None:
    counters = CloseWhileDecoding()
    source = FileSource(path=long_clip, camera="door", observer=counters)
    source.open()
    counters.close = source.close
    frames = list(source.frames())
    assert len(frames) < 10  # of 50: more than a second is missing
    assert counters.snapshot().dropped == {}


class Wrapped:
    """A libav object that fails when it is used after ``closed`` is set."""

    def __init__(self, wrapped: Any, closed: Event) -> None:
        self.wrapped, self.closed = wrapped, closed

    def __getattr__(self, name: str) -> Any:
        assert not self.closed.is_set(), f"{name} was read after close"
        return getattr(self.wrapped, name)


class WrappedContainer(Wrapped):
    """A container with one wrapped video stream."""

    @property
    def streams(self) -> Any:
        return WrappedStreams(self.wrapped.streams, self.closed)

    def demux(self, stream: Wrapped) -> Any:
        return self.wrapped.demux(stream.wrapped)

    def close(self) -> None:
        self.wrapped.close()
        self.closed.set()


class WrappedStreams(Wrapped):
    """The streams of a container."""

    def __len__(self) -> int:
        return len(self.wrapped)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.wrapped)

    @property
    def video(self) -> list[Wrapped]:
        return [Wrapped(stream, self.closed) for stream in self.wrapped.video]


def test_nothing_of_a_closed_container_is_used(clip: Path) -> None:
    closed = Event()
    container: Any = WrappedContainer(av.open(str(clip)), closed)
    video = VideoInput(container=container, decoding=Decoding())
    first = next(video.frames(on_decoded=lambda _: None, on_damaged=lambda _: None, strict=True))
    before = video.info(first)
    video.close()
    assert closed.is_set()
    assert video.info(first) == before
    assert video.missing_at_end() == 0
    assert (video.step_ns, video.format_name) == (40 * MS, "mov,mp4,m4a,3gp,3g2,mj2")
    assert video.metadata


class Unreadable:
    """A container whose disk fails for good after so many packets."""

    def __init__(self, container: Any, packets: int) -> None:
        self.container, self.left = container, packets

    def __getattr__(self, name: str) -> Any:
        return getattr(self.container, name)

    def demux(self, stream: Any) -> Iterator[Any]:
        for packet in self.container.demux(stream):
            if not self.left:
                raise av.error.OSError(5, "Input/output error")
            self.left -= 1
            yield packet
        raise AssertionError("read to the end")


def test_a_read_error_that_persists_counts_once_and_the_decoded_pictures_arrive(clips_dir: Path) -> None:
    clip = clips.write_clip(clips_dir / "unreadable.mkv", frames=60, options={"bf": "2"})
    container: Any = Unreadable(av.open(str(clip)), packets=20)
    video = VideoInput(container=container, decoding=Decoding())
    damaged: list[int] = []
    pictures = list(video.frames(on_decoded=lambda _: None, on_damaged=damaged.append, strict=False))
    assert len(pictures) == 20
    assert damaged == [1]
    video.close()


class WithLateStream:
    """A container in which a stream begins after it was opened: PyAV fails behind the last packet."""

    def __init__(self, container: Any) -> None:
        self.container = container

    def __getattr__(self, name: str) -> Any:
        return getattr(self.container, name)

    def demux(self, stream: Any) -> Iterator[Any]:
        yield from self.container.demux(stream)
        raise IndexError("list index out of range")


@pytest.mark.parametrize("strict", [False, True])
def test_a_stream_that_begins_later_costs_no_picture(strict: bool, clip: Path) -> None:
    container: Any = WithLateStream(av.open(str(clip)))
    video = VideoInput(container=container, decoding=Decoding())
    damaged: list[int] = []
    assert len(list(video.frames(on_decoded=lambda _: None, on_damaged=damaged.append, strict=strict))) == 10
    assert damaged == []
    video.close()
