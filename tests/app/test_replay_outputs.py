"""The options of a replay: settings, the file and the broker that the events go to, and what is not delivered."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any

import pytest

from ferstream.app.replay import Outcome, ReplayOptions, replay_all
from ferstream.errors import BrokerError, ConfigError, ModelError, OutputError, SourceError
from ferstream.settings import Settings
from tests.support.accepting_broker import AcceptingBroker
from tests.support.clips import write_clip

pytestmark = pytest.mark.usefixtures("no_new_threads")
MakeSettings = Callable[..., Settings]
Json = MutableMapping[str, Any]


# -- options to outputs --------------------------------------------------------------------------


def replay_into(out: Path | str | None, *videos: Path, model: Path, **options: Any) -> list[Outcome]:
    """Replay into a file with the tiny models."""
    given = ReplayOptions(videos=videos, events=None if out is None else str(out), model=str(model), **options)
    return replay_all(given, on_progress=lambda *_: None)


def lines(out: Path) -> list[Json]:
    return [json.loads(line) for line in out.read_text().splitlines()]


def test_the_events_go_to_the_file_and_are_the_same_every_time(portrait_clip: Path, tiny_model: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    (outcome,) = replay_into(first, portrait_clip, model=tiny_model)
    replay_into(second, portrait_clip, model=tiny_model)
    assert first.read_bytes() == second.read_bytes()
    events = lines(first)
    assert len(events) == outcome.faces + 1  # the last one says that the track left
    assert {(event["node"], event["boot_id"], event["camera"]) for event in events} == {("replay", "replay", "portrait")}


def test_two_files_of_one_name_are_two_cameras_and_events_name_their_file(portrait_clip: Path, tiny_model: Path, tmp_path: Path) -> None:
    videos = [tmp_path / name for name in ("a/clip.mp4", "b/clip.mp4", "clip.mkv.mp4", "CLIP.mp4", os.fsdecode(b"caf\xe9\n.mp4"))]
    for video in videos:
        video.parent.mkdir(exist_ok=True)
        video.write_bytes(portrait_clip.read_bytes())
    outcomes = replay_into(tmp_path / "out.jsonl", *videos, model=tiny_model)
    assert [outcome.camera for outcome in outcomes] == ["clip", "clip-2", "clip-mkv", "clip-3", "caf"]
    events = lines(tmp_path / "out.jsonl")
    by_camera = {camera: [event for event in events if event["camera"] == camera] for camera in (outcome.camera for outcome in outcomes)}
    assert {camera: {event["source"] for event in found} for camera, found in by_camera.items()} == {
        "clip": {"clip.mp4"},
        "clip-2": {"clip.mp4"},
        "clip-mkv": {"clip.mkv.mp4"},
        "clip-3": {"CLIP.mp4"},
        "caf": {r"caf\xe9\n.mp4"},
    }
    for found in by_camera.values():
        assert [event["seq"] for event in found] == list(range(11))
    assert len({event["track"]["id"] for event in events}) == 5


def test_start_gives_the_time_of_the_first_frame(portrait_clip: Path, tiny_model: Path, tmp_path: Path) -> None:
    replay_into(tmp_path / "out.jsonl", portrait_clip, model=tiny_model, start_ns=1_763_757_095_250_000_000)
    events = lines(tmp_path / "out.jsonl")
    assert [event["captured_at"] for event in events[:2]] == ["2025-11-21T20:31:35.250Z", "2025-11-21T20:31:35.350Z"]


def test_start_is_for_one_recording(portrait_clip: Path, tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--start is the time of one recording"):
        replay_into(None, portrait_clip, portrait_clip, model=tiny_model, start_ns=1)


def test_events_that_say_that_a_track_left_are_counted_apart(portrait_clip: Path, tiny_model: Path) -> None:
    (outcome,) = replay_into("/dev/null", portrait_clip, model=tiny_model)
    assert sum(outcome.snapshot.events.values()) == 11
    assert outcome.left == 1


def test_without_an_output_the_frames_are_counted_only(portrait_clip: Path, tiny_model: Path) -> None:
    (outcome,) = replay_into(None, portrait_clip, model=tiny_model)
    assert outcome.frames == 10


def test_the_rate_of_the_events_can_be_limited(portrait_clip: Path, tiny_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    (outcome,) = replay_into(out, portrait_clip, model=tiny_model, max_hz=2.0)
    assert outcome.faces == 10
    assert [event["frame"]["index"] for event in lines(out)] == [0, 5, 9]


def test_the_frames_that_are_analysed_can_be_thinned(portrait_clip: Path, tiny_model: Path) -> None:
    (outcome,) = replay_into(None, portrait_clip, model=tiny_model, fps=5.0)
    assert outcome.frames == 5


def test_the_progress_of_each_recording_is_reported(portrait_clip: Path, tiny_model: Path, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int | None]] = []
    videos = (portrait_clip, write_clip(tmp_path / "cards.mp4", frames=4))
    replay_all(ReplayOptions(videos=videos, model=str(tiny_model)), on_progress=lambda *report: seen.append(report))
    assert ("portrait", 10, 10) in seen
    assert seen[-1] == ("cards", 4, 4)


def test_neither_the_environment_nor_a_file_changes_a_replay(
    portrait_clip: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ferstream.toml").write_text("[detection]\nscore = 1.0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FERSTREAM_DETECTION__SCORE", "1.0")
    (outcome,) = replay_into(None, portrait_clip, model=tiny_model)
    assert outcome.faces == 10


def test_a_settings_file_that_is_named_is_used(portrait_clip: Path, tiny_model: Path, tmp_path: Path) -> None:
    file = tmp_path / "other.toml"
    file.write_text("[detection]\nscore = 1.0\n")
    (outcome,) = replay_into(None, portrait_clip, model=tiny_model, config=file)
    assert (outcome.frames, outcome.faces) == (10, 0)


def test_settings_that_are_not_valid_end_a_replay_at_once(portrait_clip: Path, tiny_model: Path, tmp_path: Path) -> None:
    file = tmp_path / "other.toml"
    file.write_text("[detection]\nscroe = 1.0\n")
    with pytest.raises(ConfigError, match="scroe"):
        replay_into(None, portrait_clip, model=tiny_model, config=file)


def test_an_unknown_model_ends_a_replay_before_the_file_is_written(portrait_clip: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no-such-model"):
        replay_into(tmp_path / "out.jsonl", portrait_clip, model=Path("no-such-model"))
    assert not (tmp_path / "out.jsonl").exists()


def test_a_file_that_cannot_be_made_is_an_error(portrait_clip: Path, tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No such file or directory"):
        replay_into(tmp_path / "nowhere" / "out.jsonl", portrait_clip, model=tiny_model)


def test_a_full_disk_ends_a_replay(tmp_path: Path, tiny_model: Path, portrait_clip: Path) -> None:
    with pytest.raises(OutputError, match="No space left on device"):
        replay_into("/dev/full", portrait_clip, model=tiny_model)


def test_the_second_file_is_checked_before_the_first_is_replayed(portrait_clip: Path, tmp_path: Path, tiny_model: Path) -> None:
    out = tmp_path / "out.jsonl"
    with pytest.raises(SourceError, match="no such file"):
        replay_into(out, portrait_clip, tmp_path / "missing.mp4", model=tiny_model)
    assert not out.exists()


# -- MQTT ----------------------------------------------------------------------------------------


NOWHERE = "mqtt://127.0.0.1:9"


def settings_file(folder: Path, url: str, more: str = "", *, node: str = "edge-1", mqtt: str = "") -> Path:
    """Settings that wait long for a broker, and shortly where there is none."""
    timeout_s = 0.5 if url == NOWHERE else 20.0
    file = folder / "ferstream.toml"
    file.write_text(f'node = "{node}"\n[mqtt]\nurl = "{url}"\n{mqtt}\n[runtime]\nshutdown_timeout_s = {timeout_s}\n{more}\n')
    return file


def test_a_replay_publishes_beside_a_daemon_with_the_same_settings(portrait_clip: Path, tiny_model: Path, tmp_path: Path) -> None:
    with AcceptingBroker() as broker:
        out = tmp_path / "out.jsonl"
        replay_into(out, portrait_clip, model=tiny_model, mqtt=True, config=settings_file(tmp_path, broker.url))
        assert broker.client_ids == ["ferstream-edge-1-replay"]
        topics = {topic for topic, _ in broker.published}
        published = [json.loads(payload) for payload in broker.payloads("/portrait/face")]
    assert {topic.rpartition("/replay")[0] or "/".join(topic.split("/")[:2]) for topic in topics} == {"ferstream/edge-1-replay"}
    assert {event["node"] for event in published} == {"edge-1-replay"}
    written = lines(out)
    assert [event["seq"] for event in published] == [event["seq"] for event in written]
    assert {event["node"] for event in written} == {"replay"}


def test_two_replays_over_mqtt_are_told_apart_by_their_boot_id(portrait_clip: Path, tiny_model: Path, tmp_path: Path) -> None:
    with AcceptingBroker() as broker:
        file = settings_file(tmp_path, broker.url)
        for _ in range(2):
            replay_into(None, portrait_clip, model=tiny_model, mqtt=True, config=file)
        boots = {json.loads(payload)["boot_id"] for payload in broker.payloads("/portrait/face")}
    assert len(boots) == 2
    assert "replay" not in boots


def test_the_client_id_of_the_settings_is_changed_too(portrait_clip: Path, tiny_model: Path, tmp_path: Path) -> None:
    with AcceptingBroker() as broker:
        file = settings_file(tmp_path, broker.url, mqtt='client_id = "box-7"')
        replay_into(None, portrait_clip, model=tiny_model, mqtt=True, config=file)
        assert broker.client_ids == ["box-7-replay"]


def test_the_longest_name_of_a_node_is_cut(portrait_clip: Path, tiny_model: Path, tmp_path: Path) -> None:
    with AcceptingBroker() as broker:
        file = settings_file(tmp_path, broker.url, node="n" * 64)
        replay_into(None, portrait_clip, model=tiny_model, mqtt=True, config=file)
        (node,) = {json.loads(payload)["node"] for payload in broker.payloads("/portrait/face")}
    assert node == "n" * 57 + "-replay"
    assert len(node) == 64


def test_a_replay_over_mqtt_uses_no_other_sink_of_the_settings(portrait_clip: Path, tiny_model: Path, tmp_path: Path) -> None:
    """A webhook that cannot be reached would keep events in the outbox."""
    with AcceptingBroker() as broker:
        file = settings_file(tmp_path, broker.url, '[webhook]\nurl = "http://127.0.0.1:9/hook"\nevents = ["face"]')
        replay_into(None, portrait_clip, model=tiny_model, mqtt=True, config=file)
        assert broker.payloads("/portrait/face")


def test_the_embedded_broker_is_started_for_a_replay(portrait_clip: Path, tiny_model: Path, tmp_path: Path) -> None:
    (outcome,) = replay_into(None, portrait_clip, model=tiny_model, mqtt=True, config=settings_file(tmp_path, "embedded"))
    assert outcome.faces == 10


def undelivered(clip: Path, model: Path, file: Path) -> int:
    with pytest.raises(BrokerError, match=f"events did not reach {NOWHERE}") as caught:
        replay_into(None, clip, model=model, mqtt=True, config=file)
    return int(str(caught.value).split()[0])


def test_events_that_reach_no_broker_are_an_error(portrait_clip: Path, tiny_model: Path, tmp_path: Path) -> None:
    assert undelivered(portrait_clip, tiny_model, settings_file(tmp_path, NOWHERE)) >= 11


def test_events_that_a_full_outbox_dropped_are_not_delivered_either(portrait_clip: Path, tiny_model: Path, tmp_path: Path) -> None:
    everything = undelivered(portrait_clip, tiny_model, settings_file(tmp_path, NOWHERE))
    assert undelivered(portrait_clip, tiny_model, settings_file(tmp_path, NOWHERE, "[outbox]\nmax_events = 2")) == everything
