"""``ferstream.watch``: events while they happen, a buffer that drops the oldest, threads that end whatever happens, privacy, errors."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ferstream
from ferstream.errors import ConfigError, ModelError, SourceError
from tests.support.python_process import ROOT, run_python
from tests.support.runners import PATIENCE_S
from tests.support.threads import Task, wait_until

pytestmark = pytest.mark.usefixtures("no_new_threads")
WriteConfig = Callable[[str], Path]
EVERYTHING = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]


def session_threads() -> list[str]:
    """Names of the threads of cameras and pipelines."""
    ours = ("ferstream", "capture", "watch", "detection", "tracking", "inference", "publishing")
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(ours)]


# -- events --------------------------------------------------------------------------------------


def test_events_of_the_demo_come_while_it_plays(tiny_model: str) -> None:
    with ferstream.watch("demo:", model=tiny_model) as events:
        found = [event for event, _ in zip(events, range(3), strict=False)]
        before = events.closed
    assert [event.camera for event in found] == ["camera"] * 3
    assert found[0].latency_ms is not None
    assert (before, events.closed) == (False, True)
    assert not session_threads()


def test_a_recording_plays_at_media_speed_and_ends(clip: Path, tiny_model: str) -> None:
    with ferstream.watch(clip, model=tiny_model, camera="door", kinds=("face", "state")) as events:
        found = list(events)
        assert events.closed
    assert {event.camera for event in found} == {"door"}
    assert any(isinstance(event, ferstream.FaceEvent) for event in found)
    states = [event.status for event in found if isinstance(event, ferstream.StateEvent)]
    assert states[0] == "connecting"
    assert states[-1] == "offline"


def test_all_kinds_of_events_can_be_asked_for(tiny_model: str) -> None:
    wanted = {"face", "track", "summary", "state"}
    with ferstream.watch(
        "demo:", kinds=("face", "track", "summary", "state"), settings={"publishing.summary_interval_s": 0.5}, model=tiny_model
    ) as events:
        seen: set[str] = set()
        for event in events:
            seen.add(event.schema_.split(".")[1].split("/")[0])
            if seen == wanted:
                break
    assert seen == wanted


def test_waiting_for_an_event_ends_after_its_time(tiny_model: str) -> None:
    with ferstream.watch("demo:", masks=[EVERYTHING], model=tiny_model) as events:
        assert events.get(timeout_s=0.0) is None
        assert events.get(timeout_s=0.05) is None
        assert not events.closed
    assert events.get() is None


def test_the_oldest_events_are_dropped_and_counted_when_the_program_is_slow(tiny_model: str) -> None:
    with ferstream.watch("demo:", buffer=2, max_hz=0, model=tiny_model) as events:
        first = next(events)
        wait_until(lambda: events.dropped >= 2)
        assert events.waiting == 2
        second = next(events)
    assert second.seq - first.seq > 2


def test_the_cameras_of_a_settings_file_are_watched(clip: Path, write_config: WriteConfig) -> None:
    cameras = "".join(f'[[cameras]]\nname = "{name}"\nsource = "{clip}"\nrealtime = true\nenabled = {on}\n' for name, on in CAMERAS)
    config = write_config(f'node = "edge"\n{cameras}')
    with ferstream.watch(config=config) as events:
        found = list(events)
    assert {(event.node, event.camera) for event in found} == {("edge", "door"), ("edge", "hall")}
    with ferstream.watch(config=config, camera="cellar") as events:
        assert {event.camera for event in events} == {"cellar"}


CAMERAS = (("door", "true"), ("hall", "true"), ("cellar", "false"))


# -- the end -------------------------------------------------------------------------------------


def test_an_error_in_the_block_ends_the_threads(tiny_model: str) -> None:
    with pytest.raises(LookupError), ferstream.watch("demo:", model=tiny_model) as events:
        next(events)
        raise LookupError
    assert not session_threads()


def test_another_thread_may_close_while_the_program_waits(tiny_model: str) -> None:
    with ferstream.watch("demo:", masks=[EVERYTHING], model=tiny_model) as events:
        waiting = Task(lambda: list(events))
        events.close()
        assert waiting.result() == []


def test_the_garbage_collector_ends_the_threads(tiny_model: str) -> None:
    def forget() -> None:
        next(ferstream.watch("demo:", model=tiny_model))

    forget()
    gc.collect()
    wait_until(lambda: not session_threads())


def test_a_cycle_of_references_ends_the_threads_too(tiny_model: str) -> None:
    """The collector then runs in any thread, also in one of the pipeline."""

    class Holder:
        pass

    holder: Any = Holder()
    holder.me, holder.events = holder, ferstream.watch("demo:", model=tiny_model)
    next(holder.events)
    del holder
    gc.collect()
    wait_until(lambda: not session_threads())


def test_a_program_may_end_while_it_watches(tiny_model: str) -> None:
    done = run_python(f"import ferstream\nevents = ferstream.watch('demo:', model={tiny_model!r})\nprint(next(events).seq)")
    assert (done.stdout.split(), done.stderr) == (["0"], "")


def test_a_forked_process_ends_without_the_threads_of_its_parent(tiny_model: str) -> None:
    done = run_python(f"""
import os, sys, ferstream
with ferstream.watch("demo:", model={tiny_model!r}) as events:
    next(events)
    child = os.fork()
    if not child:
        sys.exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), next(events).camera)
""")
    assert done.stdout.split() == ["0", "camera"]


def test_ctrl_c_ends_the_program(tiny_model: str) -> None:
    program = f"""
import signal
import ferstream
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background of a shell ignores it
with ferstream.watch("demo:", masks=[[(0, 0), (1, 0), (1, 1), (0, 1)]], model={tiny_model!r}) as events:
    print("open", flush=True)
    next(events)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=2 * PATIENCE_S)
    assert errors.splitlines()[-1] == "KeyboardInterrupt"
    assert process.returncode == -signal.SIGINT


# -- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["webcam:97", "missing.mp4", "rtsp://127.0.0.1:9/"])
def test_a_source_that_cannot_be_opened_is_an_error_of_the_call(source: str, tiny_model: str) -> None:
    with pytest.raises(SourceError):
        ferstream.watch(source, model=tiny_model)
    assert not session_threads()


def test_a_model_that_cannot_be_used_is_an_error_of_the_call() -> None:
    with pytest.raises(ModelError, match="no-such-model"):
        ferstream.watch("demo:", model="no-such-model")
    assert not session_threads()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give a source"),
        ({"source": "gopher://a"}, "source"),
        ({"source": "demo:", "buffer": 0}, "buffer = 0: expected"),
        ({"source": "demo:", "kinds": ("smile",)}, "expected some of face"),
        ({"source": "demo:", "masks": [[(0, 0)]]}, "has 1 corners"),
        ({"source": "demo:", "fps": -2}, "fps = -2"),
        ({"source": "demo:", "settings": {"cameras": []}}, "cannot hold cameras"),
        ({"source": "demo:", "settings": {"detection.widht": 320}}, "did you mean"),
        ({"source": "demo:", "camera": "Front Door"}, "name"),
    ],
)
def test_a_wrong_option_is_an_error_of_the_call(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ferstream.watch(**options)


# -- privacy -------------------------------------------------------------------------------------


def test_the_masks_of_the_machine_are_painted(clip: Path, tmp_path: Path, tiny_model: str) -> None:
    mask = [list(corner) for corner in EVERYTHING]
    (tmp_path / "ferstream.toml").write_text(f'[[cameras]]\nname = "door"\nsource = "{clip}"\nmasks = [{mask}]')
    with ferstream.watch(clip, model=tiny_model) as events:
        assert list(events) == []


def test_aggregate_only_of_the_machine_is_obeyed(clip: Path, tmp_path: Path, tiny_model: str) -> None:
    (tmp_path / "ferstream.toml").write_text("[privacy]\naggregate_only = true\nmin_group_size = 3")
    with pytest.raises(ConfigError, match=r"aggregate_only is set .*give kinds = \(\"summary\",\)"):
        ferstream.watch(clip, model=tiny_model)
    with ferstream.watch(clip, kinds=("summary", "state"), model=tiny_model, settings={"publishing.summary_interval_s": 0.5}) as events:
        found = list(events)
    summaries = [event for event in found if isinstance(event, ferstream.SummaryEvent)]
    assert summaries
    assert {sum(event.counts.values()) for event in summaries} == {0}  # one face is not a group of three


def test_settings_cannot_take_back_the_privacy_of_the_machine(clip: Path, tmp_path: Path, tiny_model: str) -> None:
    (tmp_path / "ferstream.toml").write_text("[privacy]\naggregate_only = true")
    with pytest.raises(ConfigError, match="aggregate_only is set"):
        ferstream.watch(clip, model=tiny_model, settings={"privacy.aggregate_only": False})


def test_a_source_at_the_host_of_a_masked_camera_is_refused(tmp_path: Path) -> None:
    mask = [list(corner) for corner in EVERYTHING]
    (tmp_path / "ferstream.toml").write_text(f'[[cameras]]\nname = "door"\nsource = "rtsp://127.0.0.1:9/a"\nmasks = [{mask}]')
    with pytest.raises(ConfigError, match="has masks and is at the same host"):
        ferstream.watch("rtsp://127.0.0.1:9/b")


def test_a_machine_whose_settings_cannot_be_read_is_an_error(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "ferstream.toml").write_text("this is not TOML")
    with pytest.raises(ConfigError, match=r"ferstream\.watch obeys the privacy settings of this machine, which cannot be read"):
        ferstream.watch(clip)
