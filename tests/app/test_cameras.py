"""The cameras of a running daemon: started, changed, switched, and what the log and the states say."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ferstream.app.running import Running
from ferstream.capture.options import FrameOptions
from ferstream.capture.recording import FileSource
from ferstream.capture.source import SourceInfo
from ferstream.detection.mask import Polygon
from ferstream.domain.event import CameraState, CameraStatus
from ferstream.errors import ConfigError, SourceTimeoutError
from ferstream.pipeline.models import Models
from ferstream.runtime.counters import Counters
from ferstream.settings import Settings, diff
from tests.support.builders import frame
from tests.support.clock import FakeClock
from tests.support.logs import Logs
from tests.support.runners import PATIENCE_S, Scripted
from tests.support.running import ScriptedPlans, running_of
from tests.support.sources import Hang, ScriptedSource
from tests.support.threads import wait_until

pytestmark = pytest.mark.usefixtures("no_new_threads")
MakeSettings = Callable[..., Settings]


def camera(name: str, **keys: object) -> dict[str, object]:
    return {"name": name, "source": "demo:", "reconnect_min_s": 0.01, "reconnect_max_s": 0.01, **keys}


@pytest.fixture
def run(make_settings: MakeSettings, models: Models) -> Iterator[Callable[..., Running]]:
    """Starts a pipeline with the given cameras; everything is stopped at the end."""
    with ExitStack() as stack:

        def start(cameras: Sequence[Mapping[str, object]], plans: ScriptedPlans | None = None, **options: Any) -> Running:
            settings = make_settings(cameras=list(cameras))
            running = running_of(settings, models=models, plans=plans or ScriptedPlans(), **options)
            running.pipeline.start()
            stack.callback(running.pipeline.stop, timeout_s=PATIENCE_S)
            running.cameras.start(settings.cameras)
            return running

        yield start


def state(running: Running, name: str) -> CameraState | None:
    return running.pipeline.cameras.states().get(name)


def status(running: Running, name: str) -> CameraStatus | None:
    found = state(running, name)
    return None if found is None else found.status


def apply(running: Running, cameras: Sequence[Mapping[str, object]], make_settings: MakeSettings) -> None:
    new = make_settings(cameras=list(cameras))
    running.cameras.apply(diff(running.settings, new))
    running.settings = new


def of_camera(logs: Logs, name: str) -> list[tuple[str, str, str | None]]:
    return [(entry["log_level"], entry["event"], entry.get("reason")) for entry in logs if entry.get("camera") == name]


# -- start ---------------------------------------------------------------------------------------


def test_cameras_deliver_frames_to_the_pipeline(run: Callable[..., Running]) -> None:
    sources = {name: [ScriptedSource([frame(n, camera=name) for n in range(3)], linger=True)] for name in ("door", "hall")}
    running = run([camera("door"), camera("hall")], ScriptedPlans(sources, live=False))
    frames = running.pipeline.counters
    wait_until(lambda: all(frames.snapshot().frames.get((name, "publishing"), 0) == 3 for name in ("door", "hall")))
    assert running.cameras.names == ("door", "hall")
    wait_until(lambda: status(running, "door") is CameraStatus.ONLINE)


def test_a_camera_that_is_off_in_the_settings_is_shown_as_disabled(run: Callable[..., Running]) -> None:
    plans = ScriptedPlans()
    running = run([camera("door", enabled=False)], plans)
    found = state(running, "door")
    assert found is not None
    assert (found.status, found.reason) == (CameraStatus.DISABLED, "switched off in the settings")
    assert running.cameras.names == ("door",)
    assert running.pipeline.cameras.names == ()
    assert running.pipeline.counters.snapshot().cameras_up == {"door": False}
    assert not plans.sources


def test_a_camera_that_cannot_be_set_up_is_offline_and_the_others_run(run: Callable[..., Running], logs: Logs) -> None:
    plans = ScriptedPlans({"hall": [ScriptedSource([frame(camera="hall")], linger=True)]}, refused={"door": "names no host"})
    running = run([camera("door"), camera("hall")], plans)
    found = state(running, "door")
    assert found is not None
    assert (found.status, found.reason) == (CameraStatus.OFFLINE, "names no host")
    wait_until(lambda: status(running, "hall") is CameraStatus.ONLINE)
    assert running.cameras.names == ("door", "hall")
    assert of_camera(logs, "door") == [("error", "a camera cannot be started", "names no host")]


class WithSeveralVideos(ScriptedSource):
    """A source with more than one video stream."""

    def open(self) -> SourceInfo:
        return replace(super().open(), choice="reads stream 1 of 2")


def test_the_log_says_once_which_of_several_video_streams_is_read(run: Callable[..., Running], logs: Logs) -> None:
    lost = WithSeveralVideos([frame(camera="door"), SourceTimeoutError("gone")])
    plans = ScriptedPlans({"door": [lost, WithSeveralVideos([frame(camera="door")], linger=True)]})
    running = run([camera("door")], plans)
    wait_until(lambda: running.pipeline.counters.snapshot().frames.get(("door", "publishing"), 0) == 2)
    assert [entry["choice"] for entry in logs if entry["event"] == "a camera has several video streams"] == ["reads stream 1 of 2"]


@pytest.mark.parametrize("source", ["rtsps://cam/1", "https://cam/1"])
def test_a_certificate_that_is_not_verified_is_a_warning_in_the_log(run: Callable[..., Running], logs: Logs, source: str) -> None:
    plans = ScriptedPlans(refused={"open": "not now", "verified": "not now"})
    run([camera("open", source=source, tls_verify=False), camera("verified", source=source)], plans)
    warning = ("warning", "tls_verify is false: the camera's certificate is not verified", None)
    assert of_camera(logs, "open")[0] == warning
    assert warning not in of_camera(logs, "verified")


def test_masks_are_set_before_a_camera_connects(run: Callable[..., Running]) -> None:
    square: Polygon = ((0.0, 0.0), (0.5, 0.0), (0.5, 0.5))
    seen: list[tuple[str, Sequence[Polygon], bool]] = []
    plans = ScriptedPlans()
    run(
        [camera("door", masks=[square]), camera("hall")],
        plans,
        set_masks=lambda name, polygons: seen.append((name, tuple(polygons), name in plans.sources)),
    )
    assert seen == [("door", (square,), False), ("hall", (), False)]


def test_a_camera_with_a_mask_that_is_not_valid_is_offline(run: Callable[..., Running]) -> None:
    def refuse(name: str, polygons: Sequence[Polygon]) -> None:
        raise ConfigError("a polygon needs an area")

    plans = ScriptedPlans()
    running = run([camera("door")], plans, set_masks=refuse)
    assert status(running, "door") is CameraStatus.OFFLINE
    assert not plans.sources


def test_the_masks_of_the_settings_reach_the_models(run: Callable[..., Running], portrait_clip: Path) -> None:
    """The same face is found without a mask, and not found under a mask over the whole picture."""

    def source(name: str) -> FileSource:
        return FileSource(path=portrait_clip, camera=name, observer=Counters(), options=FrameOptions(width=192))

    everything = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
    plans = ScriptedPlans({name: [source(name)] for name in ("masked", "open")}, live=False)
    running = run([camera("masked", masks=[everything]), camera("open")], plans)
    counters = running.pipeline.counters
    wait_until(lambda: all(counters.snapshot().frames.get((name, "publishing")) == 10 for name in ("masked", "open")))
    faces = counters.snapshot().faces
    assert (faces.get(("masked", "found"), 0), faces["open", "found"]) == (0, 10)


# -- changes -------------------------------------------------------------------------------------


def test_a_reload_touches_only_the_cameras_that_differ(run: Callable[..., Running], make_settings: MakeSettings) -> None:
    plans = ScriptedPlans()
    running = run([camera("same"), camera("changed"), camera("removed")], plans)
    wait_until(lambda: {"same", "changed", "removed"} <= set(plans.sources))
    before = {name: sources[0] for name, sources in plans.sources.items()}
    apply(running, [camera("same"), camera("changed", analysis_fps=3.0), camera("added")], make_settings)
    wait_until(lambda: "added" in plans.sources and len(plans.sources["changed"]) == 2)
    assert set(running.cameras.names) == {"same", "changed", "added"}
    assert set(running.pipeline.cameras.names) == {"same", "changed", "added"}
    closed = {name for name, source in before.items() if isinstance(source, ScriptedSource) and source.closed}
    assert closed == {"changed", "removed"}
    assert len(plans.sources["same"]) == 1
    assert state(running, "removed") is None


def test_cameras_that_end_are_all_asked_before_the_first_is_waited_for(run: Callable[..., Running], make_settings: MakeSettings) -> None:
    """Each source ends only when the other one was closed too."""
    sources: dict[str, ScriptedSource] = {}

    def waits_for(other: str) -> Callable[[], None]:
        return lambda: wait_until(lambda: sources[other].closed)

    sources["one"] = ScriptedSource([waits_for("two")])
    sources["two"] = ScriptedSource([waits_for("one")])
    running = run([camera("one"), camera("two")], ScriptedPlans({name: [source] for name, source in sources.items()}))
    wait_until(lambda: status(running, "one") is not None and status(running, "two") is not None)
    apply(running, [], make_settings)
    assert running.pipeline.cameras.names == ()
    assert not running.pipeline.counters.snapshot().counts  # no thread was abandoned


def test_a_camera_that_is_disabled_by_a_reload_is_stopped_and_shown_so(run: Callable[..., Running], make_settings: MakeSettings) -> None:
    running = run([camera("door")])
    apply(running, [camera("door", enabled=False)], make_settings)
    assert status(running, "door") is CameraStatus.DISABLED
    assert "door" not in running.pipeline.cameras.names
    apply(running, [camera("door")], make_settings)
    assert "door" in running.pipeline.cameras.names


def test_a_camera_that_does_not_end_in_time_is_logged_and_left(
    run: Callable[..., Running], make_settings: MakeSettings, logs: Logs
) -> None:
    hang = Hang()
    running = run([camera("door")], ScriptedPlans({"door": [ScriptedSource([hang])]}), remove_timeout_s=0.01)
    assert hang.reached.wait(PATIENCE_S)
    apply(running, [], make_settings)
    hang.release()
    assert ("warning", "a camera did not end in time; its thread is abandoned", None) in of_camera(logs, "door")
    assert running.cameras.names == ()


# -- switches ------------------------------------------------------------------------------------


def test_a_camera_is_switched_off_and_on(run: Callable[..., Running]) -> None:
    plans = ScriptedPlans()
    running = run([camera("door")], plans)
    wait_until(lambda: "door" in plans.sources)
    running.cameras.switch("door", on=False)
    found = state(running, "door")
    assert found is not None
    assert (found.status, found.reason) == (CameraStatus.DISABLED, "switched off by a command")
    assert running.cameras.names == ("door",)
    running.cameras.switch("door", on=False)
    running.cameras.switch("door", on=True)
    wait_until(lambda: len(plans.sources["door"]) == 2)
    running.cameras.switch("door", on=True)
    assert running.pipeline.cameras.names == ("door",)
    assert len(plans.sources["door"]) == 2


def test_a_camera_that_is_off_in_the_settings_can_be_switched_on(run: Callable[..., Running]) -> None:
    plans = ScriptedPlans()
    running = run([camera("door", enabled=False)], plans)
    running.cameras.switch("door", on=True)
    wait_until(lambda: "door" in plans.sources)
    wait_until(lambda: status(running, "door") is CameraStatus.CONNECTING)


def test_a_switch_of_an_unknown_camera_is_logged(run: Callable[..., Running], logs: Logs) -> None:
    running = run([])
    running.cameras.switch("attic", on=True)
    assert of_camera(logs, "attic") == [("warning", "a command names an unknown camera", None)]
    assert running.cameras.names == ()


# -- states and log ------------------------------------------------------------------------------


def test_each_change_of_state_is_one_line_of_the_log(run: Callable[..., Running], logs: Logs) -> None:
    failing = ScriptedSource([frame(), SourceTimeoutError("no data within 5 s")])
    again = ScriptedSource([frame(1)], linger=True)
    running = run([camera("door")], ScriptedPlans({"door": [failing, again]}))
    wait_until(lambda: [event for _, event, _ in of_camera(logs, "door")].count("camera online") == 2)
    running.cameras.switch("door", on=False)
    assert of_camera(logs, "door") == [
        ("info", "camera connecting", None),
        ("info", "camera online", None),
        ("warning", "camera reconnecting", "no data within 5 s"),
        ("info", "camera online", None),
        ("info", "camera offline", "stopped"),
    ]


def test_a_state_that_only_has_a_new_frame_rate_is_not_logged(run: Callable[..., Running], logs: Logs) -> None:
    clock, more, go_on = FakeClock(), threading.Event(), threading.Event()

    def wait() -> None:
        more.set()
        go_on.wait(PATIENCE_S)

    source = ScriptedSource([frame(0), wait, *(frame(n) for n in range(1, 5))], linger=True)
    running = run([camera("door")], ScriptedPlans({"door": [source]}), clock=clock)
    assert more.wait(PATIENCE_S)
    wait_until(lambda: status(running, "door") is CameraStatus.ONLINE)
    clock.advance(5.0)
    go_on.set()
    wait_until(lambda: (state(running, "door") or CameraState("", CameraStatus.OFFLINE, "", 0)).fps > 0)
    assert [event for _, event, _ in of_camera(logs, "door")] == ["camera connecting", "camera online"]


def test_the_end_of_a_recording_is_not_a_warning(run: Callable[..., Running], logs: Logs) -> None:
    running = run([camera("door")], ScriptedPlans({"door": [ScriptedSource([frame()])]}, live=False))
    wait_until(lambda: status(running, "door") is CameraStatus.OFFLINE)
    assert of_camera(logs, "door")[-1] == ("info", "camera offline", "end of the recording")


class BrokenClock(FakeClock):
    """A clock that fails in the thread that watches a camera."""

    def monotonic_ns(self) -> int:
        if threading.current_thread().name.startswith("watch-"):
            raise Scripted("clock")
        return super().monotonic_ns()


def test_an_error_in_the_supervision_of_a_camera_ends_the_run(run: Callable[..., Running]) -> None:
    running = run([camera("door")], clock=BrokenClock())
    wait_until(running.pipeline.fatal.is_set)
    assert running.pipeline.fatal.first is not None
    where, error = running.pipeline.fatal.first
    assert where == "capture-door"
    assert isinstance(error, Scripted)
    wait_until(lambda: status(running, "door") is CameraStatus.OFFLINE)
