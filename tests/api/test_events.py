"""Events as typed objects: their JSON is that of the run, and files of events can be read back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import ferstream
from ferstream.domain.event import Event, Summary
from ferstream.errors import DataError
from ferstream.events.encode import Encoder
from tests.support.builders import camera_state, face_event, track_event

CLASSES: dict[str, type[ferstream.Event]] = {
    "ferstream.face/1": ferstream.FaceEvent,
    "ferstream.track/1": ferstream.TrackEvent,
    "ferstream.summary/1": ferstream.SummaryEvent,
    "ferstream.state/1": ferstream.StateEvent,
}


def events() -> list[Event]:
    """One event of each kind."""
    return [
        face_event(),
        track_event(),
        Summary(camera="door", at_ns=1_500_000_000, interval_s=10.0, counts={"happy": 3}, faces_now=1),
        camera_state(),
    ]


@pytest.mark.parametrize("number", range(4))
def test_an_event_is_read_back_from_its_json(encoder: Encoder, number: int) -> None:
    message = encoder.encode(events()[number])
    event = ferstream.parse_event(message.payload)
    assert isinstance(event, CLASSES[message.schema])
    assert event.to_json().encode() == message.payload
    assert event.to_dict() == json.loads(message.payload)
    assert event == ferstream.parse_event(event.to_json() + "\n")


@pytest.mark.parametrize("number", range(4))
def test_a_copy_with_a_change_has_the_json_of_the_change(encoder: Encoder, number: int) -> None:
    event = ferstream.parse_event(encoder.encode(events()[number]).payload)
    assert event.model_copy().to_json() == event.to_json()
    assert event.model_copy(update={"camera": "hall"}).to_dict() == {**event.to_dict(), "camera": "hall"}


def test_events_cannot_be_changed_in_place(encoder: Encoder) -> None:
    event = ferstream.parse_event(encoder.encode(events()[0]).payload)
    with pytest.raises(ValueError, match="frozen"):
        event.camera = "hall"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Expecting value"),
        ("[]", "schema is None"),
        ('{"schema": "other/1"}', "schema is 'other/1', expected one of ferstream.face/1"),
        ('{"schema": "ferstream.face/1"}', "validation error"),
        ("[" * 100_000, "nested too deeply"),
        (b"\xff", "utf-8"),
    ],
)
def test_what_is_not_an_event_is_an_error(text: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=f"not an event: .*{message}"):
        ferstream.parse_event(text)


def test_the_portraits_of_the_demo_can_be_reached() -> None:
    first = ferstream.examples.portrait()
    assert isinstance(first, Path)
    assert first in ferstream.examples.portraits()
    assert len(ferstream.analyze(first)) == 1
