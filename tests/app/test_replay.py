"""Recordings through the pipeline: names, outputs, every way to end, and what reaches a file and a broker."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.app.assembly import engine, replay_mode
from ferstream.app.replay import Outcome, Replayer, ReplayOptions, camera_name, probe, replay_all
from ferstream.errors import BrokerError, ConfigError, FerstreamError, FramesLostError, ModelError, OutputError, SourceError
from ferstream.events.encode import Encoder
from ferstream.publishing.sink_set import SinkSet
from ferstream.runtime.counters import Counters
from ferstream.runtime.supervisor import Fatal
from ferstream.settings import CameraSettings, Settings
from tests.support.accepting_broker import AcceptingBroker
from tests.support.clips import write_clip, write_sound
from tests.support.recording_sink import RecordingSink
from tests.support.runners import Scripted

pytestmark = pytest.mark.usefixtures("no_new_threads")
MakeSettings = Callable[..., Settings]
Json = MutableMapping[str, Any]


# -- names ---------------------------------------------------------------------------------------


@given(st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1))
def test_any_file_name_gives_a_name_that_a_camera_may_have(text: str) -> None:
    name = camera_name(Path(text))
    assert CameraSettings(name=name, source="demo:").name == name


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("/videos/Front Door 2.mp4", "front-door-2"),
        ("a.b.mkv", "a-b"),
        ("...mp4", "video"),
        ("\u7384\u95a2.mp4", "video"),
        ("x" * 40 + ".mp4", "x" * 32),
        ("_under-score_.mp4", "_under-score_"),
    ],
)
def test_a_camera_is_named_after_its_file(file: str, name: str) -> None:
    assert camera_name(Path(file)) == name


# -- opening -------------------------------------------------------------------------------------


def test_a_recording_is_probed_for_its_size_and_length(tmp_path: Path) -> None:
    info = probe(write_clip(tmp_path / "a.mp4", size=(160, 96), frames=12))
    assert (info.width, info.height, info.frames, info.fps) == (160, 96, 12, 25.0)


def unreadable(folder: Path) -> dict[str, tuple[Path, str]]:
    text, empty = folder / "text.mp4", folder / "empty.mp4"
    text.write_text("not a video\n" * 50)
    empty.touch()
    return {
        "missing": (folder / "missing.mp4", "no such file"),
        "folder": (folder, "directory"),
        "text": (text, "text"),
        "empty": (empty, "empty"),
        "sound": (write_sound(folder / "sound.mp4"), "no video"),
    }


@pytest.mark.parametrize("kind", ["missing", "folder", "text", "empty", "sound"])
def test_a_file_that_is_not_a_recording_is_an_error_that_names_it(tmp_path: Path, kind: str) -> None:
    path, reason = unreadable(tmp_path)[kind]
    with pytest.raises(SourceError, match=reason) as caught:
        probe(path)
    assert str(path) in str(caught.value)


def test_the_second_file_is_checked_before_the_first_is_replayed(portrait_clip: Path, tmp_path: Path, tiny_model: Path) -> None:
    out = tmp_path / "out.jsonl"
    with pytest.raises(SourceError, match="no such file"):
        replay_into(out, portrait_clip, tmp_path / "missing.mp4", model=tiny_model)
    assert not out.exists()


# -- one recording -------------------------------------------------------------------------------


@pytest.fixture
def make_replayer(make_settings: MakeSettings, encoder: Encoder) -> Iterator[Callable[..., Replayer]]:
    """Makes replayers whose only sink is the one that is given; everything is closed at the end."""
    with ExitStack() as stack:

        def make(sink: RecordingSink, *, fatal: Fatal | None = None, **options: Any) -> Replayer:
            settings = make_settings(runtime={"shutdown_timeout_s": 20.0})
            output = SinkSet(encoder=encoder, sinks=(sink,), observer=Counters(), on_failure=None if fatal is None else fatal.report)
            made = stack.enter_context(engine(settings, mode=replay_mode(settings), make_outputs=lambda _: [output], fatal=fatal))
            return Replayer(engine=made, **options)

        yield make


def faces(sink: RecordingSink) -> list[Json]:
    return [event for message in sink.messages if (event := json.loads(message.payload))["schema"] == "ferstream.face/1"]


def test_every_frame_of_a_recording_is_analysed(make_replayer: Callable[..., Replayer], portrait_clip: Path) -> None:
    sink, progress = RecordingSink(), list[tuple[str, int, int | None]]()
    outcome = make_replayer(sink, on_progress=lambda *report: progress.append(report)).replay(portrait_clip)
    assert (outcome.frames, outcome.faces, outcome.lost) == (10, 10, 0)
    assert (outcome.path, outcome.camera, outcome.info.frames) == (portrait_clip, "portrait", 10)
    assert progress[-1] == ("portrait", 10, 10)
    found = faces(sink)
    assert [event["frame"]["index"] for event in found] == [*range(10), 9]  # the last one says that the track left
    assert {event["track"]["id"] for event in found} == {"portrait-replay-1"}


def test_frames_are_thinned_by_media_time(make_replayer: Callable[..., Replayer], portrait_clip: Path) -> None:
    assert make_replayer(RecordingSink(), analysis_fps=5.0).replay(portrait_clip).frames == 5


def test_a_replayer_runs_one_recording_after_the_other(make_replayer: Callable[..., Replayer], portrait_clip: Path, tmp_path: Path) -> None:
    sink = RecordingSink()
    replayer = make_replayer(sink)
    clip = write_clip(tmp_path / "cards.mp4", frames=4)
    outcomes = [replayer.replay(path, probe(path)) for path in (portrait_clip, clip, portrait_clip)]
    assert [(outcome.camera, outcome.frames, outcome.faces) for outcome in outcomes] == [
        ("portrait", 10, 10),
        ("cards", 4, 0),
        ("portrait", 10, 10),
    ]


def test_a_replay_that_is_stopped_is_not_complete(make_replayer: Callable[..., Replayer], tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "long.mp4", frames=500)  # twenty seconds at media speed
    sink = RecordingSink()
    replayer = make_replayer(sink, speed=1.0)
    replayer.on_progress = lambda camera, done, total: replayer.stop.set()
    with pytest.raises(FramesLostError, match=r"long\.mp4: stopped after \d+ frames"):
        replayer.replay(clip)
    states = [json.loads(message.payload) for message in sink.messages if message.schema == "ferstream.state/1"]
    assert states[-1]["status"] == "offline"


def test_a_recording_that_cannot_be_read_to_its_end_is_an_error(make_replayer: Callable[..., Replayer], tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", frames=5)
    info = probe(clip)
    clip.unlink()
    with pytest.raises(SourceError, match="no such file"):
        make_replayer(RecordingSink()).replay(clip, info)


def test_damaged_frames_are_lost_and_counted(make_replayer: Callable[..., Replayer], tmp_path: Path) -> None:
    content = bytearray(write_clip(tmp_path / "a.mkv", codec="mjpeg", pixel_format="yuvj420p", frames=40).read_bytes())
    for start in range(len(content) // 3, len(content) - 400, 900):
        content[start : start + 300] = bytes(300)
    damaged = tmp_path / "damaged.mkv"
    damaged.write_bytes(content)
    outcome = make_replayer(RecordingSink()).replay(damaged)
    assert outcome.lost > 0
    assert outcome.frames < 40


def test_an_error_of_ferstream_ends_a_replay_as_it_is(make_replayer: Callable[..., Replayer], portrait_clip: Path) -> None:
    sink = RecordingSink()
    sink.write_error = OutputError("cannot write events: disk full")
    with pytest.raises(OutputError, match="disk full"):
        make_replayer(sink, fatal=Fatal()).replay(portrait_clip)


def test_any_other_error_is_named_with_the_part_that_failed(make_replayer: Callable[..., Replayer], portrait_clip: Path) -> None:
    sink = RecordingSink()
    sink.write_error = Scripted("went away")
    with pytest.raises(FerstreamError, match="recording failed: went away") as caught:
        make_replayer(sink, fatal=Fatal()).replay(portrait_clip)
    assert isinstance(caught.value.__cause__, Scripted)


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
