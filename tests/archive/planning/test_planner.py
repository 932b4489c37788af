"""Plans of archives: what is in them, that they are kept, and what is refused."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ferstream.app.recordings import find_recordings
from ferstream.archive.machine import difference as machine_difference
from ferstream.archive.machine import machine
from ferstream.archive.plan import PLAN, WHOLE, chunks_name, decode_chunks, decode_plan
from ferstream.archive.planning.planner import PlanHooks, Planned, PlanOptions, make_plan
from ferstream.archive.storage.store import LocalStore
from ferstream.errors import ConfigError, ModelError, SourceError
from ferstream.settings import Settings
from tests.support.clips import write_clip

CAMERA = """
[[cameras]]
name = "door"
source = "rtsp://host/stream"
username = "somebody"
masks = [[[0.0, 0.0], [0.5, 0.0], [0.5, 0.5]]]
rotate = 90
"""


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """A folder: a recording that can be divided, one that cannot, one in a folder below with the same name, and a file that is none."""
    folder = tmp_path / "clips"
    (folder / "below").mkdir(parents=True)
    options = {"x264-params": "keyint=10:min-keyint=10:scenecut=0"}
    write_clip(folder / "b.mp4", frames=75, options=options, tags={"creation_time": "2026-03-01T10:00:00Z"})
    write_clip(folder / "a.ts", codec="mpeg2video", frames=10)
    write_clip(folder / "below" / "b.mkv", frames=20, options=options)
    (folder / "bad.mp4").write_text("no video")
    return folder


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """An archive that is not planned yet."""
    return LocalStore(tmp_path / "archive")


def plan(store: LocalStore, clips: Path, **options: object) -> Planned:
    """Plan the clips in chunks of a second."""
    values: dict[str, object] = {"sources": (str(clips),), "chunk_s": 1.0}
    return make_plan(store, PlanOptions(**{**values, **options}))  # type: ignore[arg-type]


def files(folder: Path) -> dict[str, bytes]:
    """All files of a folder with their content."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_recordings_and_cameras_are_those_of_replay(store: LocalStore, clips: Path) -> None:
    made, found = plan(store, clips).plan, find_recordings([clips]).recordings
    assert [(item.path, item.camera) for item in made.recordings] == [(str(item.path), item.camera) for item in found]
    assert [(item.source, item.camera) for item in made.recordings] == [("a.ts", "a"), ("b.mp4", "b"), ("b.mkv", "b-2")]
    assert [(left.path, "is text" in left.reason) for left in made.left_out] == [(str(clips / "bad.mp4"), True)]


def test_the_plan_says_what_is_known_of_each_recording(store: LocalStore, clips: Path) -> None:
    whole, divided, _ = plan(store, clips).plan.recordings
    assert (divided.chunks, divided.frames, divided.duration_s, divided.undivided) == (3, 75, 3.0, "")
    assert divided.utc_origin_ns == 1_772_359_200_000_000_000
    assert divided.size == (clips / "b.mp4").stat().st_size
    assert (whole.chunks, whole.is_divided, whole.utc_origin_ns) == (1, False, 0)
    assert decode_plan(store.read(PLAN)).recordings[1] == divided
    chunks = decode_chunks(store.read(chunks_name(1)), "")
    assert [(chunk.number, chunk.first_frame, chunk.frames, len(chunk.overlap)) for chunk in chunks] == [
        (0, 0, 30, 3),
        (1, 30, 30, 3),
        (2, 60, 15, 0),
    ]
    assert [chunk.number for chunk in decode_chunks(store.read(chunks_name(0)), "")] == [WHOLE]


def test_the_folder_can_be_read_by_its_owner_only(store: LocalStore, clips: Path) -> None:
    plan(store, clips)
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700


def test_planning_again_changes_nothing(store: LocalStore, clips: Path) -> None:
    first = plan(store, clips)
    before = files(store.folder)
    second = plan(store, clips)
    assert (first.was_there, second.was_there) == (False, True)
    assert second.plan == decode_plan(store.read(PLAN))
    assert files(store.folder).keys() == before.keys()
    assert all(content == before[name] for name, content in files(store.folder).items() if name != ".lock")


def test_chunks_that_are_lost_are_made_again(store: LocalStore, clips: Path) -> None:
    plan(store, clips)
    before = store.read(chunks_name(1))
    store.remove(chunks_name(1))
    assert plan(store, clips).was_there
    assert store.read(chunks_name(1)) == before


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"fps": 5.0}, "--fps is 5.0 now, and was 0.0 in its plan"),
        ({"chunk_s": 2.0}, "--chunk-s is 2.0 now, and was 1.0 in its plan"),
        ({"model": "emotion-small"}, "model is emotion-small"),
    ],
)
def test_another_identity_is_an_error_that_says_what_differs(
    store: LocalStore, clips: Path, changed: dict[str, object], message: str
) -> None:
    plan(store, clips)
    before = files(store.folder)
    with pytest.raises(ConfigError, match=message):
        plan(store, clips, **changed)
    assert {name: content for name, content in files(store.folder).items() if name != ".lock"} == {
        name: content for name, content in before.items() if name != ".lock"
    }


def test_other_recordings_are_an_error(store: LocalStore, clips: Path) -> None:
    plan(store, clips)
    more = write_clip(clips / "c.mp4")
    with pytest.raises(ConfigError, match="plan it into another folder"):
        plan(store, clips)
    more.unlink()
    (clips / "b.mp4").write_bytes((clips / "b.mp4").read_bytes() + b"more")
    with pytest.raises(ConfigError, match=r"b\.mp4 has changed since it was planned"):
        plan(store, clips)


def test_fewer_recordings_are_an_error(store: LocalStore, clips: Path) -> None:
    plan(store, clips)
    (clips / "below" / "b.mkv").unlink()
    with pytest.raises(ConfigError, match="its plan has 3 recordings, and there are 2 now"):
        plan(store, clips)


def test_results_without_a_plan_are_an_error(store: LocalStore, clips: Path) -> None:
    plan(store, clips)
    store.write("chunks/000000-whole-0000000000000000.npz", b"")
    store.remove(PLAN)
    with pytest.raises(ConfigError, match="has results and no plan"):
        plan(store, clips)


def test_the_archive_is_no_source(clips: Path) -> None:
    inside = LocalStore(clips / "archive")
    inside.folder.mkdir()
    write_clip(inside.folder / "result.mp4")
    assert [item.source for item in plan(inside, clips).plan.recordings] == ["a.ts", "b.mp4", "b.mkv"]


def test_a_named_file_that_cannot_be_read_is_an_error_and_leaves_no_folder(store: LocalStore, clips: Path) -> None:
    with pytest.raises(SourceError, match="is text"):
        plan(store, clips, sources=(str(clips / "bad.mp4"),))
    assert not store.folder.exists()


def test_what_can_be_read_only_once_is_an_error(store: LocalStore, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)
    for source in ("-", str(pipe)):
        with pytest.raises(ConfigError, match="reads a recording several times"):
            plan(store, tmp_path, sources=(source,))


def test_start_is_the_time_of_one_recording(store: LocalStore, clips: Path) -> None:
    with pytest.raises(ConfigError, match="--start is the time of one recording"):
        plan(store, clips, start_ns=1)
    made = plan(store, clips, sources=(str(clips / "b.mp4"),), start_ns=1)
    assert made.plan.recordings[0].utc_origin_ns == 1


def test_single_faces_that_the_settings_forbid_are_an_error(store: LocalStore, clips: Path, tmp_path: Path) -> None:
    config = tmp_path / "settings.toml"
    config.write_text("[privacy]\naggregate_only = true\n")
    with pytest.raises(ConfigError, match="aggregate_only"):
        plan(store, clips, config=config)


def test_a_model_that_is_missing_is_an_error(store: LocalStore, clips: Path) -> None:
    with pytest.raises(ModelError, match="no such model"):
        plan(store, clips, model="emotion-none")


def test_masks_of_the_camera_are_in_the_plan_and_its_address_is_not(store: LocalStore, clips: Path, tmp_path: Path) -> None:
    config = tmp_path / "settings.toml"
    config.write_text(CAMERA)
    plan(store, clips, config=config, camera="door")
    text = store.read(PLAN).decode()
    assert "host" not in text
    assert "somebody" not in text
    (camera,) = Settings.model_validate(json.loads(text)["settings"]).cameras
    assert (camera.name, len(camera.masks), camera.rotate) == ("door", 1, 90)
    with pytest.raises(ConfigError, match="is a camera of the settings: give them with -c FILE"):
        plan(store, clips, camera="door")


def test_the_model_that_auto_stands_for_is_in_the_settings_of_the_plan(store: LocalStore, clips: Path) -> None:
    made = plan(store, clips).plan
    settings = Settings.model_validate(made.settings)
    assert settings.inference.model.count("/") == 1
    assert str(made.identity["model"]) == f"{settings.inference.model} on {settings.inference.backend}"


def test_progress_is_reported(store: LocalStore, clips: Path) -> None:
    counts, sources = list[int](), list[str]()
    hooks = PlanHooks(on_found=counts.append, on_recording=lambda recording: sources.append(recording.source))
    make_plan(store, PlanOptions(sources=(str(clips),)), hooks)
    assert (counts, sources) == ([3], ["a.ts", "b.mp4", "b.mkv"])


def test_a_planner_that_is_killed_leaves_no_plan_and_the_next_makes_it(store: LocalStore, clips: Path, tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from ferstream.archive.planning.planner import *\n"
        "kill = lambda recording: os.kill(os.getpid(), signal.SIGKILL) if recording.number == 1 else None\n"
        "make_plan(LocalStore(Path(sys.argv[1])), PlanOptions(sources=(sys.argv[2],), chunk_s=1.0), PlanHooks(on_recording=kill))\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(store.folder), str(clips)], check=False, capture_output=True, timeout=120)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    assert not (store.folder / PLAN).exists()
    other = LocalStore(tmp_path / "other")
    assert plan(store, clips).plan == plan(other, clips).plan
    assert {name: content for name, content in files(store.folder).items() if name != ".lock"} == {
        name: content for name, content in files(other.folder).items() if name != ".lock"
    }


def test_a_machine_says_what_decides_about_digits() -> None:
    found = machine()
    assert {"cpu", "units", "precision", "openvino", "av", "opencv-python-headless", "numpy", "edgefirst-tracker"} <= found.keys()
    assert all(value and value != "unknown" for key, value in found.items() if key != "units")
    assert machine_difference(found, dict(found)) == ""
    assert machine_difference(found, found | {"precision": "f16"}) == f"precision is f16, in the plan {found['precision']}"
    assert "numpy is missing" in machine_difference(found, {key: value for key, value in found.items() if key != "numpy"})


def test_a_file_that_could_not_be_read_and_now_can_is_an_error(store: LocalStore, clips: Path) -> None:
    plan(store, clips)
    write_clip(clips / "bad.mp4", frames=2)
    with pytest.raises(ConfigError, match=r"bad\.mp4 could not be read when it was planned, and can be now"):
        plan(store, clips)
