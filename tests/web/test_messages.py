"""The messages of the live view: the same objects as in events, one line of JSON, pictures added behind."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from ferstream.domain.event import CameraStatus, Summary, TrackChange
from ferstream.domain.face import Box
from ferstream.domain.track import TrackState
from ferstream.events.encode import Encoder
from ferstream.web.messages import LiveMessage, camera_message, frame_message, hello_message, summary_message
from tests.support.builders import camera_state, face_event, labelled_frame, track_event


def body(message: LiveMessage) -> dict[str, Any]:
    """Decode the data of a message; it has a name, one line of data, and an empty line."""
    name, data, *rest = message.data.split(b"\n")
    assert name == b"event: " + message.kind.encode()
    assert rest == [b"", b""]
    decoded: dict[str, Any] = json.loads(data.removeprefix(b"data: "))
    return decoded


def test_a_frame_has_its_identity_its_size_and_its_faces() -> None:
    frame = labelled_frame(7, labels=("happy", "unknown"))
    found = body(frame_message(frame, (), None))
    assert {key: found[key] for key in ("camera", "index", "width", "height")} == {
        "camera": "door",
        "index": 7,
        "width": frame.info.width,
        "height": frame.info.height,
    }
    assert found["media_time_ms"] == frame.info.media_time_ns / 1e6
    assert found["captured_at"].endswith("Z")
    assert [face["emotion"]["label"] for face in found["faces"]] == ["happy", "unknown"]
    assert "picture" not in found


def test_faces_and_changes_are_the_objects_of_the_events(encoder: Encoder) -> None:
    change = track_event(7, change=TrackChange.CHANGED)
    frame = labelled_frame(7)
    found = body(frame_message(frame, (change,), None))
    face_payload, track_payload = (json.loads(encoder.encode(event).payload) for event in (frame.faces[0], change))
    assert found["faces"] == [{key: face_payload[key] for key in ("track", "face", "emotion")}]
    assert found["changes"] == [{key: track_payload[key] for key in ("track", "change", "smoothed", "previous_label", "dwell_s", "shares")}]


def test_a_face_that_left_is_among_the_changes_only() -> None:
    left = track_event(7, change=TrackChange.LEFT)
    frame = replace(labelled_frame(7), faces=(face_event(7), face_event(7, number=2, state=TrackState.LEFT)))
    found = body(frame_message(frame, (left,), None))
    assert [face["track"]["id"] for face in found["faces"]] == ["door-run-1"]
    assert [change["change"] for change in found["changes"]] == ["left"]


def test_a_picture_comes_in_the_message_of_its_faces() -> None:
    found = body(frame_message(labelled_frame(7), (), b"\xff\xd8picture"))
    assert found["picture"] == "data:image/jpeg;base64," + base64.b64encode(b"\xff\xd8picture").decode()
    assert len(found["faces"]) == 1


def test_a_number_that_is_not_finite_is_an_error() -> None:
    event = face_event(7)
    broken = replace(event, face=replace(event.face, box=Box(float("nan"), 0, 1, 1)))
    with pytest.raises(ValueError, match="JSON"):
        frame_message(replace(labelled_frame(7), faces=(broken,)), (), None)


def test_a_line_break_in_a_text_stays_inside_the_json() -> None:
    state = camera_state(CameraStatus.OFFLINE, reason="line one\nline two\r")
    assert body(camera_message(state))["reason"] == "line one\nline two\r"


def test_a_summary_and_a_state_have_the_fields_of_their_events(encoder: Encoder) -> None:
    summary, state = Summary("door", 1_764_000_000_000_000_000, 5.0, {"happy": 3}, 2), camera_state()
    for event, message in ((summary, summary_message(summary)), (state, camera_message(state))):
        payload, found = json.loads(encoder.encode(event).payload), body(message)
        assert found == {key: payload[key] for key in found}
        assert {"camera"} < found.keys()


def test_the_first_message_says_what_will_come() -> None:
    message = hello_message(node="edge-1", version="1.0", pixels=True, aggregate_only=False, cameras=("door", "yard"))
    assert body(message) == {"node": "edge-1", "version": "1.0", "pixels": True, "aggregate_only": False, "cameras": ["door", "yard"]}


def test_a_newer_message_replaces_the_one_of_its_kind_and_camera() -> None:
    assert frame_message(labelled_frame(1), (), None).key == frame_message(labelled_frame(2), (), None).key
    assert frame_message(labelled_frame(1), (), None).key != frame_message(labelled_frame(1, camera="yard"), (), None).key
    assert camera_message(camera_state()).key != frame_message(labelled_frame(1), (), None).key
