"""Recordings through the real command, the real codec and the shipped model."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from jsonschema import Draft202012Validator

from tests.support.brokers import Mosquitto, Subscriber
from tests.support.clips import portrait_clip, write_clip
from tests.support.daemon import FERSTREAM, RunningDaemon, clean_environment, ferstream, json_lines

Events = list[dict[str, Any]]


def replay(video: Path, out: Path) -> Events:
    """Replay into a file and read it back."""
    done = ferstream("replay", video, "--events", out)
    assert done.returncode == 0, done.stderr
    return json_lines(out.read_text())


@pytest.fixture(scope="module")
def sad_to_happy(videos_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Events]:
    out = tmp_path_factory.mktemp("replay") / "sad_to_happy.jsonl"
    return out, replay(videos_dir / "sad_to_happy.mp4", out)


@pytest.fixture
def busy_core() -> Iterator[None]:
    """Another process that takes what it can get."""
    child = multiprocessing.get_context("spawn").Process(target=_burn, daemon=True)
    child.start()
    yield
    child.kill()
    child.join(10)


def _burn() -> None:
    while True:
        pass


def labels(events: Events) -> Counter[str]:
    return Counter(event["emotion"]["label"] for event in events)


def test_one_woman_is_one_track(sad_to_happy: tuple[Path, Events]) -> None:
    _, events = sad_to_happy
    assert len(events) >= 460
    assert len({event["track"]["id"] for event in events}) == 1
    assert [event["track"]["state"] for event in events] == ["appeared", *["present"] * (len(events) - 2), "left"]
    assert [event["seq"] for event in events] == list(range(len(events)))
    assert labels(events)["unknown"] <= 0.05 * len(events)


def test_smoothed_labels_follow_what_she_acts(sad_to_happy: tuple[Path, Events]) -> None:
    _, events = sad_to_happy
    smoothed = [event["emotion"]["smoothed"]["label"] for event in events]
    first, last = Counter(smoothed[: len(smoothed) // 2]), Counter(smoothed[-len(smoothed) // 4 :])
    assert first["sad"] + first["fear"] > len(smoothed) // 10
    assert last.most_common(1)[0][0] == "happy"


def test_events_are_valid_against_the_schema(sad_to_happy: tuple[Path, Events], root_dir: Path) -> None:
    schema = json.loads((root_dir / "docs" / "schema" / "face-1.json").read_text())
    validator = Draft202012Validator(schema)
    for event in sad_to_happy[1]:
        validator.validate(event)
        assert event["frame"]["width"] == 640
        assert abs(sum(event["emotion"]["probabilities"].values()) - 1) < 0.001


def test_a_second_replay_under_load_is_the_same_byte_for_byte(
    sad_to_happy: tuple[Path, Events], videos_dir: Path, tmp_path: Path, busy_core: None
) -> None:
    again = tmp_path / "again.jsonl"
    replay(videos_dir / "sad_to_happy.mp4", again)
    assert again.read_bytes() == sad_to_happy[0].read_bytes()


def test_a_street_gives_many_faces_on_few_tracks(videos_dir: Path, tmp_path: Path) -> None:
    events = replay(videos_dir / "people_walking_1080p.mp4", tmp_path / "out.jsonl")
    seen = [event for event in events if event["track"]["state"] != "left"]
    assert len(seen) >= 500
    assert labels(seen)["unknown"] < len(seen) / 2
    order = [event["frame"]["index"] for event in events]
    assert order == sorted(order)
    for _, track in itertools.groupby(sorted(events, key=lambda e: e["track"]["id"]), key=lambda e: e["track"]["id"]):
        states = [event["track"]["state"] for event in track]
        assert states[0] == "appeared"
        assert states[-1] == "left"
        assert set(states[1:-1]) <= {"present"}


def test_a_clip_without_faces_gives_no_events(videos_dir: Path, tmp_path: Path) -> None:
    assert replay(videos_dir / "no_face.mp4", tmp_path / "out.jsonl") == []


def test_heads_from_behind_are_never_labelled(videos_dir: Path, tmp_path: Path) -> None:
    events = replay(videos_dir / "overhead_person.mp4", tmp_path / "out.jsonl")
    assert set(labels(events)) <= {"unknown"}
    assert all(event["emotion"]["abstained"] for event in events)


def test_a_track_ends_when_the_man_is_gone(videos_dir: Path, tmp_path: Path) -> None:
    events = replay(videos_dir / "face_then_none.mov", tmp_path / "out.jsonl")
    assert events[-1]["track"]["state"] == "left"
    assert 70 <= events[-1]["frame"]["index"] < 168
    assert {event["track"]["state"] for event in events[:-1]} == {"appeared", "present"}


def test_stdout_carries_json_lines_only(videos_dir: Path) -> None:
    done = ferstream("replay", videos_dir / "yes.mkv", "--events", "-")
    assert done.returncode == 0
    assert {event["schema"] for event in json_lines(done.stdout)} == {"ferstream.face/1"}
    assert "yes.mkv" in done.stderr


def test_two_videos_follow_each_other(tmp_path: Path) -> None:
    first, second = write_clip(tmp_path / "one.mp4", frames=5), write_clip(tmp_path / "two.mp4", frames=7)
    done = ferstream("replay", first, second)
    assert done.returncode == 0
    assert "one.mp4: 5 frames" in done.stderr
    assert "two.mp4: 7 frames" in done.stderr


def audio_only(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 8000, 0, Fraction(1, 8000)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_each_unreadable_file_is_one_line_and_exit_3(tmp_path: Path) -> None:
    text, empty, cut = tmp_path / "text.mp4", tmp_path / "empty.mp4", tmp_path / "cut.mp4"
    text.write_text("not a video\n" * 100)
    empty.touch()
    cut.write_bytes(write_clip(tmp_path / "whole.mp4", frames=20).read_bytes()[:600])
    wanted = {
        tmp_path / "missing.mp4": "no such file",
        tmp_path / "no-folder" / "*.mp4": "no file matches",
        text: "text",
        empty: "empty",
        cut: "cut off",
        audio_only(tmp_path / "audio.mp4"): "no video",
    }
    for path, word in wanted.items():
        done = ferstream("replay", path)
        assert done.returncode == 3, (path, done.stderr)
        lines = done.stderr.strip().splitlines()
        assert len(lines) == 1, done.stderr
        assert word in lines[0]
        assert str(path) in lines[0]


def test_an_unknown_model_is_exit_5(tmp_path: Path) -> None:
    done = ferstream("replay", write_clip(tmp_path / "a.mp4"), "--model", "nonsense")
    assert done.returncode == 5
    assert "nonsense" in done.stderr
    assert "Traceback" not in done.stderr


def test_lost_frames_are_exit_75(tmp_path: Path) -> None:
    whole = bytearray(write_clip(tmp_path / "a.mkv", codec="mjpeg", pixel_format="yuvj420p", frames=40).read_bytes())
    for start in range(len(whole) // 3, len(whole) - 400, 900):
        whole[start : start + 300] = bytes(300)
    damaged = tmp_path / "damaged.mkv"
    damaged.write_bytes(whole)
    done = ferstream("replay", damaged)
    assert done.returncode == 75, done.stderr
    assert "LOST" in done.stderr


def test_a_full_disk_ends_the_replay_with_exit_8(tmp_path: Path) -> None:
    done = ferstream("replay", portrait_clip(tmp_path / "a.mp4"), "--events", "/dev/full")
    assert done.returncode == 8, done.stderr
    assert "/dev/full" in done.stderr
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_events_that_reach_no_broker_are_exit_4(tmp_path: Path) -> None:
    settings = tmp_path / "f.toml"
    settings.write_text('[mqtt]\nurl = "mqtt://127.0.0.1:1"\n[runtime]\nshutdown_timeout_s = 0.5\n')
    events = tmp_path / "events.jsonl"
    done = ferstream("replay", portrait_clip(tmp_path / "a.mp4"), "--mqtt", "-c", settings, "--events", events)
    made = len(json_lines(events.read_text()))
    assert made > 0
    assert done.returncode == 4, done.stderr
    assert "events did not reach mqtt://127.0.0.1:1" in done.stderr


def test_a_replay_over_mqtt_leaves_a_daemon_of_the_same_settings_alone(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path / "mosquitto").start()
    try:
        more = f'[mqtt]\nurl = "{broker.url}"\nprotocol = "3.1.1"\n[outbox]\npath = "memory"\n'
        with (
            Subscriber(broker.url) as subscriber,
            RunningDaemon(tmp_path, f'[[cameras]]\nname = "door"\nsource = "demo:"\n{more}') as daemon,
        ):
            subscriber.wait_payload("edge-1/availability", b"online")
            done = ferstream("replay", portrait_clip(tmp_path / "a.mp4"), "--mqtt", "-c", daemon.file)
            assert done.returncode == 0, done.stderr
            subscriber.wait(lambda _: subscriber.events("a", "face") != [])
            subscriber.wait_payload("edge-1-replay/availability", b"stopped")
            assert {event["node"] for event in subscriber.events("a", "face")} == {"edge-1-replay"}
            told = [message.payload for message in subscriber.messages if message.topic.endswith("/edge-1/availability")]
            assert told == [b"online"]
            assert "took over" not in daemon.log
            assert daemon.end() == 0
    finally:
        broker.end()


def test_ctrl_c_ends_a_replay_with_what_it_has(videos_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    command = [*FERSTREAM, "replay", str(videos_dir / "sad_to_happy.mp4"), "--events", "-", "--speed", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_environment()) as process:
        assert process.stdout is not None
        watchdog = threading.Timer(60, process.kill)
        watchdog.start()
        out.write_bytes(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=30)
        watchdog.cancel()
    assert process.returncode == 75, errors
    assert b"stopped after" in errors
    json_lines((out.read_bytes() + rest).decode())
