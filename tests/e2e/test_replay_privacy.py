"""``replay``, ``bench`` and ``demo`` obey the privacy settings, or refuse to start and say why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.brokers import Mosquitto, Subscriber
from tests.support.clips import portrait_clip
from tests.support.daemon import ferstream, json_lines

WHOLE = "[[[0, 0], [1, 0], [1, 1], [0, 1]]]"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording with one face."""
    return portrait_clip(tmp_path_factory.mktemp("clips") / "a.mp4")


def settings(folder: Path, *, masks: str = "[]", cameras: tuple[str, ...] = ("door",), rest: str = "") -> Path:
    file = folder / "f.toml"
    tables = "".join(f'[[cameras]]\nname = "{name}"\nsource = "webcam:{n}"\nmasks = {masks}\n' for n, name in enumerate(cameras))
    file.write_text(tables + rest)
    return file


def test_the_masks_of_the_only_camera_are_painted(clip: Path, tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    for masks, found in (("[]", True), (WHOLE, False)):
        done = ferstream("replay", clip, "-c", settings(tmp_path, masks=masks), "--events", events)
        assert done.returncode == 0, done.stderr
        assert bool(json_lines(events.read_text())) is found


def test_masks_apply_to_what_is_sent_to_the_broker(clip: Path, tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path / "mosquitto").start()
    try:
        with Subscriber(broker.url) as subscriber:
            more = f'node = "edge-1"\n[mqtt]\nurl = "{broker.url}"\nprotocol = "3.1.1"\n'
            file = settings(tmp_path, masks=WHOLE)
            file.write_text(more.partition("[mqtt]")[0] + file.read_text() + "[mqtt]" + more.partition("[mqtt]")[2])
            done = ferstream("replay", clip, "--mqtt", "-c", file)
            assert done.returncode == 0, done.stderr
            subscriber.wait_payload("edge-1-replay/availability", b"stopped")
            assert subscriber.events("a", "face") == []
            assert subscriber.events("a", "track") == []
    finally:
        broker.end()


def test_masks_of_several_cameras_need_the_name_of_one(clip: Path, tmp_path: Path) -> None:
    file = settings(tmp_path, masks=WHOLE, cameras=("door", "yard"))
    for command in ("replay", "bench"):
        done = ferstream(command, clip, "-c", file)
        assert done.returncode == 2
        assert done.stderr.splitlines() == [
            "ferstream: the settings have masks for several cameras; give --camera NAME, one of door, yard, to say whose apply"
        ]
    done = ferstream("replay", clip, "-c", file, "--camera", "yard")
    assert done.returncode == 0, done.stderr
    assert "0 faces" in done.stderr


@pytest.mark.parametrize("option", [("--events", "-"), ("--mqtt",)])
def test_single_faces_are_refused_with_aggregate_only(clip: Path, tmp_path: Path, option: tuple[str, ...]) -> None:
    done = ferstream("replay", clip, "-c", settings(tmp_path, rest="[privacy]\naggregate_only = true\n"), *option)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"ferstream: privacy.aggregate_only is set, and {option[0]} would publish events of single faces")


def test_a_replay_without_outputs_prints_no_expression_with_aggregate_only(clip: Path, tmp_path: Path) -> None:
    file = settings(tmp_path, rest="[privacy]\naggregate_only = true\n")
    assert "events:" in ferstream("replay", clip).stderr
    done = ferstream("replay", clip, "-c", file)
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip() == "a.mp4: 10 frames, 10 faces"


def test_bench_paints_the_masks_before_both_measurements(clip: Path, tmp_path: Path) -> None:
    done = ferstream("bench", clip, "-c", settings(tmp_path, masks=WHOLE), "--turns", "1", "--json", "-")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["faces"] == 0


def test_demo_shows_and_publishes_groups_only_with_aggregate_only(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "ferstream.toml").write_text("[privacy]\naggregate_only = true\n")
    done = ferstream("demo", "--source", clip, "--seconds", "7", "--port", "0", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "privacy.aggregate_only is set (ferstream.toml): only counts of groups are shown and published" in done.stdout
    assert "no group that is large enough" in done.stdout
    assert not [label for label in ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral") if label in done.stdout]


def test_demo_paints_the_masks_of_its_source(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "ferstream.toml").write_text(f'[[cameras]]\nname = "clip"\nsource = "{clip}"\nmasks = {WHOLE}\n')
    done = ferstream("demo", "--source", clip, "--seconds", "3", "--port", "0", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "\n0 face events published" in done.stdout


def test_masks_cover_their_place_in_the_turned_picture(tmp_path: Path) -> None:
    """The face is at the top of the recording as it is; the camera hangs upside down and is turned by the settings."""
    clip = portrait_clip(tmp_path / "a.mp4", turned=True)
    events = tmp_path / "events.jsonl"
    top, bottom = "[[[0, 0], [1, 0], [1, 0.6], [0, 0.6]]]", "[[[0, 0.6], [1, 0.6], [1, 1], [0, 1]]]"
    for masks, found in ((top, False), (bottom, True)):
        file = settings(tmp_path, masks=f"{masks}\nrotate = 180")
        done = ferstream("replay", clip, "-c", file, "--camera", "door", "--events", events)
        assert done.returncode == 0, done.stderr
        assert bool(json_lines(events.read_text())) is found
