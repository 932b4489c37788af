"""``ferstream.replay``: the events of the command, threads that end whatever the program does, privacy, errors."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import ferstream
from ferstream.api.networks import pipeline_pool
from ferstream.api.replay_session import WAITING_EVENTS
from ferstream.cli import app
from ferstream.errors import ConfigError, FramesLostError, ModelError, SourceError
from tests.support.clips import write_clip
from tests.support.logs import logging_restored
from tests.support.portraits import write_portrait_clip
from tests.support.python_process import run_python
from tests.support.threads import wait_until

pytestmark = pytest.mark.usefixtures("no_new_threads")
WriteConfig = Callable[[str], Path]
EVERYTHING = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]


def replayed(out: Path, *arguments: str) -> list[str]:
    """The lines that ``ferstream replay --events`` writes."""
    with logging_restored():
        done = CliRunner().invoke(app, ["replay", "-q", "--events", str(out), *arguments])
    assert done.exit_code == 0, done.output
    return out.read_text().splitlines()


def session_threads() -> list[str]:
    """Names of the threads of replays."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(("ferstream", "detection", "capture", "publishing"))]


# -- events --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        ({}, []),
        ({"fps": 5, "max_hz": 2}, ["--fps", "5", "--max-hz", "2"]),
        ({"start": "2026-11-21T20:31:35+01:00"}, ["--start", "2026-11-21T20:31:35+01:00"]),
        ({"start": datetime(2026, 11, 21, 19, 31, 35, tzinfo=UTC)}, ["--start", "2026-11-21T20:31:35+01:00"]),
    ],
)
def test_events_are_those_of_the_command_byte_for_byte(clip: Path, tmp_path: Path, options: dict[str, Any], arguments: list[str]) -> None:
    lines = replayed(tmp_path / "out.jsonl", str(clip), *arguments)
    assert len(lines) > 2
    events = list(ferstream.replay(clip, **options))
    assert [event.to_json() for event in events] == lines
    assert [event.to_dict() for event in events] == [json.loads(line) for line in lines]


def test_events_of_several_recordings_are_those_of_the_command(clip: Path, tmp_path: Path, tiny_model: str) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / clip.name).write_bytes(clip.read_bytes())
    lines = replayed(tmp_path / "out.jsonl", str(clip), str(other / clip.name), "--model", tiny_model)
    with ferstream.replay([clip, str(other / clip.name)], model=tiny_model) as events:
        found = list(events)
        assert (events.frames, events.lost) == (40, 0)
        assert events.progress == (20, 20)
    assert [event.to_json() for event in found] == lines
    assert {event.camera for event in found} == {"portrait-1", "portrait-1-2"}
    assert {event.source for event in found} == {"Portrait 1.mp4"}


def test_events_are_typed(clip: Path) -> None:
    event = next(ferstream.replay(clip))
    assert event.captured_at == datetime(1970, 1, 1, tzinfo=UTC)
    assert (event.frame.width, event.frame.height) == (192, 224)
    assert event.track.state == "appeared"
    assert event.emotion.probabilities is not None
    assert 0 <= event.emotion.probabilities.happy <= 1


def test_changes_of_tracks_and_states_can_be_asked_for(clip: Path) -> None:
    events = list(ferstream.replay(clip, kinds=("track", "state")))
    tracks = [event for event in events if isinstance(event, ferstream.TrackEvent)]
    states = [event for event in events if isinstance(event, ferstream.StateEvent)]
    assert len(tracks) + len(states) == len(events)
    assert [event.change for event in tracks][:: len(tracks) - 1] == ["appeared", "left"]
    assert states[-1].status == "offline"


def test_settings_by_dotted_key_apply(clip: Path) -> None:
    least = {"inference.min_confidence": 1.0}
    assert {event.emotion.label for event in ferstream.replay(clip, settings=least)} == {"unknown"}


def test_a_recording_without_faces_has_no_events(tmp_path: Path, tiny_model: str) -> None:
    assert list(ferstream.replay(write_clip(tmp_path / "empty.mp4"), model=tiny_model)) == []


def test_the_networks_are_kept_for_the_next_replay(clip: Path, tiny_model: str) -> None:
    first = [event.to_json() for event in ferstream.replay(clip, model=tiny_model)]
    kept = pipeline_pool().idle
    assert [event.to_json() for event in ferstream.replay(clip, model=tiny_model)] == first
    assert pipeline_pool().idle == kept >= 1


def test_two_replays_may_run_at_once(clip: Path, tiny_model: str) -> None:
    alone = [event.to_json() for event in ferstream.replay(clip, model=tiny_model)]
    with ferstream.replay(clip, model=tiny_model) as one, ferstream.replay(clip, model=tiny_model) as two:
        both = [(a.to_json(), b.to_json()) for a, b in zip(one, two, strict=True)]
    assert both == [(line, line) for line in alone]


# -- the end -------------------------------------------------------------------------------------


def test_leaving_the_loop_ends_the_threads(clip: Path) -> None:
    for event in ferstream.replay(clip):
        assert session_threads()
        assert event.seq == 0
        break
    wait_until(lambda: not session_threads())


def test_an_error_in_the_loop_ends_the_threads(clip: Path) -> None:
    def take_one() -> None:
        for event in ferstream.replay(clip):
            raise LookupError(event.camera)

    with pytest.raises(LookupError):
        take_one()
    wait_until(lambda: not session_threads())


def test_a_replay_that_nobody_reads_waits_and_ends_when_it_is_closed(clip: Path, tiny_model: str) -> None:
    """The channel is full: the publishing thread waits for room when ``close`` comes."""
    events = ferstream.replay([clip] * 16, model=tiny_model)
    next(events)
    wait_until(lambda: events.waiting == WAITING_EVENTS)
    events.close()
    assert not session_threads()
    assert list(events) == []


def test_a_replay_that_was_never_asked_for_an_event_starts_nothing(clip: Path) -> None:
    events = ferstream.replay(clip)
    assert not session_threads()
    events.close()
    events.close()
    assert list(events) == []


def test_a_program_may_end_with_a_replay_that_runs(clip: Path) -> None:
    done = run_python(f"import ferstream\nevents = ferstream.replay({str(clip)!r})\nprint(next(events).seq)")
    assert (done.stdout.split(), done.stderr) == (["0"], "")


# -- errors --------------------------------------------------------------------------------------


def test_a_recording_that_cannot_be_read_is_an_error_of_the_call(tmp_path: Path, clip: Path) -> None:
    with pytest.raises(SourceError, match=r"missing\.mp4"):
        ferstream.replay([clip, tmp_path / "missing.mp4"])


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """A recording of a face in which some frames cannot be decoded."""
    whole = bytearray(write_portrait_clip(tmp_path / "whole.mkv", codec="mjpeg", pixel_format="yuvj420p", frames=20).read_bytes())
    for start in range(len(whole) // 2, len(whole) - 400, 900):
        whole[start : start + 300] = bytes(300)
    path = tmp_path / "damaged.mkv"
    path.write_bytes(whole)
    return path


def test_lost_frames_are_an_error_after_the_last_event(damaged: Path, tiny_model: str) -> None:
    """What is in a damaged picture is not the same every time: libav leaves parts of it as they were in memory."""
    found: list[str] = []
    events = ferstream.replay(damaged, model=tiny_model)
    with pytest.raises(FramesLostError, match="frames were damaged or lost"):
        found.extend(event.track.state for event in events)
    assert found[0] == "appeared"
    assert found[-1] == "left"
    assert events.lost > 0
    assert list(events) == []


def test_lost_frames_can_be_accepted(damaged: Path, tiny_model: str) -> None:
    events = ferstream.replay(damaged, model=tiny_model, ignore_lost=True)
    assert len(list(events)) > 2
    assert events.lost > 0


def test_a_model_that_cannot_be_used_is_an_error_of_the_first_step(clip: Path) -> None:
    events = ferstream.replay(clip, model="no-such-model")
    with pytest.raises(ModelError, match="no-such-model"):
        next(events)
    assert list(events) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fps": -1}, "fps = -1: expected a number"),
        ({"speed": "2"}, "speed = '2'"),
        ({"kinds": ()}, r"kinds = \(\): expected some of face, track"),
        ({"kinds": ("faces",)}, "kinds"),
        ({"start": "yesterday"}, 'start =: "yesterday" is not a time'),
        ({"start": datetime(2026, 11, 21)}, "has no zone"),  # noqa: DTZ001 (the error under test)
        ({"camera": "door"}, "give config = too"),
        ({"masks": [[(0, 0), (1, 0), (2, 1)]]}, "within 0..1"),
        ({"settings": {"tracking.lifespan": 3}}, "did you mean tracking.lifespan_s"),
        ({"settings": {"privacy.aggregate_only": True}}, "replay yields results of single faces"),
    ],
)
def test_a_wrong_option_is_an_error_of_the_call(clip: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ferstream.replay(clip, **options)


def test_one_start_cannot_be_that_of_two_recordings(clip: Path) -> None:
    with pytest.raises(ConfigError, match="time of one recording"):
        ferstream.replay([clip, clip], start="2026-11-21T20:31:35Z")


# -- privacy -------------------------------------------------------------------------------------


def test_masks_are_painted(clip: Path) -> None:
    assert list(ferstream.replay(clip, masks=[EVERYTHING])) == []


def test_masks_of_the_camera_in_a_settings_file_are_painted(clip: Path, write_config: WriteConfig) -> None:
    mask = [list(corner) for corner in EVERYTHING]
    config = write_config(f'[[cameras]]\nname = "door"\nsource = "demo:"\nmasks = [{mask}]')
    assert list(ferstream.replay(clip, config=config)) == []


def test_aggregate_only_refuses_events_of_single_faces(clip: Path, write_config: WriteConfig) -> None:
    with pytest.raises(ConfigError, match=r"aggregate_only is set .*settings\.toml"):
        ferstream.replay(clip, config=write_config("[privacy]\naggregate_only = true"))


def test_settings_and_variables_of_the_machine_do_not_change_the_events(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = [event.to_json() for event in ferstream.replay(clip)]
    (tmp_path / "ferstream.toml").write_text("[inference]\nmin_confidence = 1.0")
    monkeypatch.setenv("FERSTREAM_TRACKING__SMOOTHING_S", "0")
    assert [event.to_json() for event in ferstream.replay(clip)] == plain
