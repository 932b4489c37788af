"""A camera on a real RTSP server: connected, cut, frozen, back again, with nothing left behind."""

from __future__ import annotations

import itertools
import random
import resource
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ferstream.capture.factory import SourceOptions, open_source
from ferstream.capture.limits import Timings
from ferstream.capture.source import Source
from ferstream.capture.stage import CameraRunner, RunnerCallbacks
from ferstream.domain.event import CameraState, CameraStatus
from ferstream.domain.frame import FrameInfo
from ferstream.errors import SourceError, SourceTimeoutError
from ferstream.runtime.backoff import Backoff
from ferstream.runtime.counters import Counters
from tests.support import clips
from tests.support.proxy import Proxy
from tests.support.rtsp import SERVER, RtspServer, rtsp_server
from tests.support.runners import PATIENCE_S
from tests.support.threads import wait_until

pytestmark = pytest.mark.skipif(not SERVER.exists(), reason="rtsp-server (aio-rtsp-toolkit) is not installed")

OPTIONS = SourceOptions(connect_timeout_s=5.0, read_timeout_s=0.5)
SIZE = (320, 240)
X265 = "log-level=none:keyint=10:bframes=0"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("rtsp")
    clips.write_clip(made / "door.mp4", size=SIZE, frames=50, options={"g": "10", "bf": "0", "tune": "zerolatency"})
    clips.write_clip(made / "hevc.mp4", codec="libx265", size=SIZE, frames=50, options={"x265-params": X265})
    return made


@pytest.fixture
def server(folder: Path) -> Iterator[RtspServer]:
    with rtsp_server(folder) as running:
        yield running


def opened(url: str, counters: Counters, options: SourceOptions = OPTIONS) -> Source:
    return open_source(url, camera="door", observer=counters, options=options)


class Watched:
    """A camera on the server, and what it did."""

    def __init__(self, url: str) -> None:
        self.counters = Counters()
        self.infos: list[FrameInfo] = []
        self.states: list[CameraState] = []
        self.ended = threading.Event()
        self.runner = CameraRunner(
            camera="door",
            connect=lambda: opened(url, self.counters),
            live=True,
            callbacks=RunnerCallbacks(
                emit=lambda frame: self.infos.append(frame.info),  # not the pixels: memory is measured
                on_state=self.states.append,
                on_end=self.ended.set,
            ),
            observer=self.counters,
            backoff=Backoff(floor_s=0.01, cap_s=0.1, rng=random.Random(1)),
            timings=Timings(frozen_after_s=0),
        )

    def times(self, status: CameraStatus) -> int:
        """How often it came into a status."""
        before = [None, *[state.status for state in self.states]]
        return sum(now is status and was is not status for was, now in itertools.pairwise(before))

    def wait_for(self, status: CameraStatus, times: int = 1) -> None:
        wait_until(lambda: self.times(status) >= times)

    def finish(self) -> None:
        self.runner.stop()
        assert self.runner.join(PATIENCE_S)
        assert self.ended.is_set()


@pytest.mark.parametrize("name", ["door.mp4", "hevc.mp4"])
def test_frames_of_a_stream_arrive(server: RtspServer, name: str) -> None:
    counters = Counters()
    source = opened(server.url(name), counters)
    info = source.open()
    frames = [frame for frame, _ in zip(source.frames(), range(20), strict=False)]
    source.close()
    assert (info.width, info.height) == SIZE
    times = [frame.info.media_time_ns for frame in frames]
    assert times == sorted(set(times))
    assert all(frame.info.live for frame in frames)
    np.testing.assert_allclose(clips.quarters(frames[5].detection_image), clips.quarters(clips.card(SIZE)[:, :, ::-1]), atol=15)


def test_a_wrong_path_is_an_error(server: RtspServer) -> None:
    with pytest.raises(SourceError, match="no such stream"):
        opened(server.url("window.mp4"), Counters()).open()


def test_a_frozen_server_is_a_timeout(server: RtspServer) -> None:
    source = opened(server.url("door.mp4"), Counters())
    source.open()
    frames = source.frames()
    next(frames)
    server.freeze()
    with pytest.raises(SourceTimeoutError, match=r"connected, but no data within 0.5 s"):
        list(frames)
    source.close()


@pytest.mark.parametrize("cuts", [5, pytest.param(200, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def test_every_cut_is_followed_by_a_reconnect_without_leaks(cuts: int, folder: Path, no_new_threads: None) -> None:
    handles = Path("/proc/self/fd")
    with rtsp_server(folder) as server:
        camera = Watched(server.url("door.mp4"))
        camera.runner.start()
        camera.wait_for(CameraStatus.ONLINE)
        before = (threading.active_count(), len(list(handles.iterdir())))
        for cut in range(1, cuts + 1):
            server.kill()
            wait_until(lambda: camera.states[-1].status is not CameraStatus.ONLINE)
            server.start()
            camera.wait_for(CameraStatus.ONLINE, times=cut + 1)
        after = (threading.active_count(), len(list(handles.iterdir())))
        camera.finish()
    assert camera.times(CameraStatus.ONLINE) == cuts + 1
    assert sum(camera.counters.snapshot().reconnects.values()) >= cuts
    assert after == before
    indices = [info.index for info in camera.infos]
    assert indices == list(range(len(indices)))
    times = [info.media_time_ns for info in camera.infos]
    assert times == sorted(set(times))


def test_a_damaged_stream_does_not_stop_the_camera(server: RtspServer, no_new_threads: None) -> None:
    with Proxy(server.port) as proxy:
        camera = Watched(server.url("door.mp4", port=proxy.port))
        camera.runner.start()
        camera.wait_for(CameraStatus.ONLINE)
        for one_in in (20_000, 2_000, 200):
            proxy.garble_one_in = one_in
            seen = len(camera.states) + sum(camera.counters.snapshot().dropped.values())
            wait_until(lambda seen=seen: len(camera.states) + sum(camera.counters.snapshot().dropped.values()) > seen)  # type: ignore[misc]
        proxy.garble_one_in = 0
        proxy.cut()
        good = len(camera.infos)
        wait_until(lambda: len(camera.infos) > good + 10)
        camera.finish()
    times = [info.media_time_ns for info in camera.infos]
    assert times == sorted(set(times))
    assert camera.runner.abandoned == 0


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_cuts_at_random_moments(server: RtspServer, no_new_threads: None) -> None:
    chance, pause, handles = random.Random(7), threading.Event(), Path("/proc/self/fd")

    def in_use() -> tuple[int, int]:
        return threading.active_count(), len(list(handles.iterdir()))

    with Proxy(server.port) as proxy:
        camera = Watched(server.url("door.mp4", port=proxy.port))
        camera.runner.start()
        camera.wait_for(CameraStatus.ONLINE)
        before, memory = in_use(), []
        for _ in range(200):
            pause.wait(chance.uniform(0.1, 5.0))
            times = camera.times(CameraStatus.ONLINE)
            proxy.cut()
            wait_until(lambda times=times: camera.times(CameraStatus.ONLINE) > times)  # type: ignore[misc]
            camera.infos.clear()
            memory.append(resident_bytes())
        wait_until(lambda: in_use() == before)
        camera.finish()
    assert camera.times(CameraStatus.ONLINE) >= 201
    assert sum(memory[-20:]) < sum(memory[40:60]) * 1.05, memory[::20]


def resident_bytes() -> int:
    """Memory of this process that is in RAM."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_a_frozen_server_is_dropped_and_reconnected(server: RtspServer, no_new_threads: None) -> None:
    camera = Watched(server.url("door.mp4"))
    camera.runner.start()
    camera.wait_for(CameraStatus.ONLINE)
    server.freeze()
    camera.wait_for(CameraStatus.RECONNECTING)
    server.thaw()
    camera.wait_for(CameraStatus.ONLINE, times=2)
    camera.finish()
    assert camera.counters.snapshot().reconnects[("door", "timeout")] >= 1


def test_stop_while_the_server_is_frozen(server: RtspServer, no_new_threads: None) -> None:
    camera = Watched(server.url("door.mp4"))
    camera.runner.start()
    camera.wait_for(CameraStatus.ONLINE)
    server.freeze()
    camera.finish()
    assert camera.runner.abandoned == 0
