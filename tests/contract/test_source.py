"""The contract of every source, real or scripted."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest

from ferstream.capture.demo import DemoSource
from ferstream.capture.options import Playback
from ferstream.capture.recording import FileSource
from ferstream.capture.source import Source
from ferstream.capture.stream import StreamSource
from ferstream.capture.webcam import WebcamSource
from ferstream.domain.frame import Frame, detection_size
from ferstream.errors import SourceError
from ferstream.runtime.counters import Counters
from tests.support import clips, http_stub
from tests.support.devices import ScriptedDevice
from tests.support.sources import ScriptedSource, some_frames
from tests.support.threads import Task

FRAMES = 10
Make = Callable[[], Source]


@pytest.fixture
def counters() -> Counters:
    return Counters()


@pytest.fixture(params=["recording", "realtime", "stream", "webcam", "demo", "scripted"])
def make(request: pytest.FixtureRequest, tmp_path: Path, counters: Counters) -> Iterator[Make]:
    """Makes a source of ten frames, called ``door``."""
    with ExitStack() as stack:
        yield _makers(request.param, tmp_path, counters, stack)


def _makers(kind: str, folder: Path, counters: Counters, stack: ExitStack) -> Make:
    if kind in ("recording", "realtime"):
        path = clips.write_clip(folder / "clip.mp4", frames=FRAMES)
        return lambda: FileSource(path=path, camera="door", observer=counters, playback=Playback(realtime=kind == "realtime"))
    if kind == "stream":
        body = clips.write_clip(folder / "clip.ts", codec="mpeg4", frames=FRAMES).read_bytes()
        port = stack.enter_context(http_stub.serving(http_stub.http_body("video/mp2t", body)))
        return lambda: StreamSource(url=f"http://127.0.0.1:{port}/door.ts", camera="door", observer=counters)
    if kind == "webcam":
        picture = np.ascontiguousarray(clips.card()[:, :, ::-1])
        return lambda: WebcamSource(number=0, camera="door", observer=counters, device=lambda number: ScriptedDevice([picture] * FRAMES))
    if kind == "demo":
        return lambda: DemoSource(camera="door", observer=counters, realtime=False, seconds=FRAMES / 25)
    return lambda: ScriptedSource(some_frames(FRAMES))


def all_frames(source: Source) -> list[Frame]:
    """Read to the end, which is an error for a live source."""
    frames: list[Frame] = []
    try:
        for frame in source.frames():
            frames.append(frame)  # noqa: PERF402 (what came before an error counts)
    except SourceError:
        assert frames[0].info.live
    return frames


def test_open_returns_the_format(make: Make) -> None:
    source = make()
    info = source.open()
    source.close()
    assert info.width > 0 < info.height
    assert info.codec


def test_frames_are_numbered_and_timed_in_order(make: Make) -> None:
    source = make()
    source.open()
    frames = all_frames(source)
    source.close()
    assert FRAMES - 1 <= len(frames) <= FRAMES
    assert [frame.info.index for frame in frames] == list(range(len(frames)))
    assert all(one.info.media_time_ns < two.info.media_time_ns for one, two in pairwise(frames))
    assert all(one.info.captured_ns <= two.info.captured_ns for one, two in pairwise(frames))
    assert {frame.info.camera for frame in frames} == {"door"}


def test_pictures_have_the_promised_shapes(make: Make, request: pytest.FixtureRequest) -> None:
    source = make()
    source.open()
    frame = next(iter(source.frames()))
    source.close()
    info = frame.info
    assert frame.luma.plane.shape == (info.height, info.width)
    assert frame.luma.plane.dtype in (np.uint8, np.uint16)
    assert frame.detection_image.dtype == np.uint8
    if not isinstance(source, ScriptedSource):
        assert not frame.luma.plane.flags.writeable
        assert frame.detection_image.flags.writeable
        assert frame.detection_image.flags.c_contiguous
        assert frame.detection_image.shape == (*detection_size(info.width, info.height, 640)[::-1], 3)


def test_frames_outlive_their_source(make: Make) -> None:
    source = make()
    source.open()
    frames = list(islice(source.frames(), 3))
    before = [frame.luma.plane.copy() for frame in frames]
    source.close()
    del source
    for frame, plane in zip(frames, before, strict=True):
        np.testing.assert_array_equal(frame.luma.plane, plane)


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Disable the garbage collector, so that only objects without references are freed."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_a_source_is_freed_with_its_last_reference(make: Make, no_collector: None) -> None:
    source = make()
    source.open()
    frames = source.frames()
    next(frames)
    source.close()
    there = weakref.ref(source)
    del source, frames
    assert there() is None


def test_close_is_allowed_at_any_time_and_more_than_once(make: Make) -> None:
    source = make()
    source.close()
    source.close()
    source = make()
    source.open()
    source.close()
    source.close()
    assert list(source.frames()) == []


def test_close_in_the_middle_ends_the_frames(make: Make, no_new_threads: None) -> None:
    source = make()
    source.open()
    frames = source.frames()
    next(frames)
    Task(source.close).result()
    assert list(frames) == []


def test_the_last_activity_follows_the_frames(make: Make) -> None:
    source = make()
    if isinstance(source, ScriptedSource):
        pytest.skip("its last activity is set by the test")
    source.open()
    assert source.last_activity_ns == 0
    frame = next(iter(source.frames()))
    assert source.last_activity_ns >= frame.info.captured_ns
    source.close()


def test_every_decoded_frame_is_counted(make: Make, counters: Counters) -> None:
    source = make()
    if isinstance(source, ScriptedSource):
        pytest.skip("it decodes nothing")
    source.open()
    count = len(all_frames(source))
    source.close()
    assert counters.snapshot().frames == {("door", "decode"): count}
