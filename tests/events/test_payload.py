"""The encoder against the pydantic models and the JSON Schemas: for every input, the same document."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.domain.emotion import LABELS, UNKNOWN, Abstained, Emotion, Verdict
from ferstream.domain.event import CameraState, CameraStatus, Event, FaceEvent, Summary, TrackChange, TrackEvent
from ferstream.domain.face import Box, Face
from ferstream.domain.frame import FrameInfo
from ferstream.domain.track import Track, TrackState
from ferstream.events.encode import Encoder, ModelRef, iso_utc
from ferstream.events.payload import ALL_LABELS, MODELS, json_schema, parse
from ferstream.events.schemas import FACE, STATE
from tests.support.builders import camera_state, emotion, face, face_event, frame_info, track, track_event
from tests.support.clock import FakeClock

SHARE = st.floats(0, 1)
PIXEL = st.floats(-10, 8000, width=32)
LABEL = st.sampled_from(ALL_LABELS)
NAME = st.text(min_size=1, max_size=20)
NS = st.integers(0, 10**16)
UTC = st.integers(0, 4_000_000_000_000_000_000)

VERDICT = st.builds(Verdict, LABEL, SHARE)
INFO = st.builds(
    FrameInfo,
    camera=NAME,
    index=st.integers(0, 2**40),
    media_time_ns=NS,
    captured_ns=NS,
    captured_at_ns=UTC,
    width=st.integers(1, 9999),
    height=st.integers(1, 9999),
    live=st.booleans(),
)
TRACK = st.builds(Track, id=NAME, state=st.sampled_from(TrackState), age_ns=NS)
POINT = st.tuples(PIXEL, PIXEL)
FACE_PART = st.builds(
    Face,
    box=st.builds(Box, PIXEL, PIXEL, st.floats(0, 8000), st.floats(0, 8000)),
    score=SHARE,
    landmarks=st.tuples(POINT, POINT, POINT, POINT, POINT),
)
EMOTION = st.builds(
    Emotion,
    verdict=VERDICT,
    smoothed=VERDICT,
    probabilities=st.none() | st.tuples(*[SHARE] * len(LABELS)),
    abstained=st.none() | st.sampled_from(Abstained),
)
EVENT: st.SearchStrategy[Event] = st.one_of(
    st.builds(FaceEvent, info=INFO, track=TRACK, face=FACE_PART, emotion=EMOTION),
    st.builds(
        TrackEvent,
        info=INFO,
        track=TRACK,
        change=st.sampled_from(TrackChange),
        smoothed=VERDICT,
        previous_label=st.none() | LABEL,
        dwell_ns=NS,
        shares=st.dictionaries(LABEL, SHARE),
    ),
    st.builds(
        Summary,
        camera=NAME,
        at_ns=UTC,
        interval_s=st.floats(0, 1e6),
        counts=st.dictionaries(LABEL, st.integers(0, 10**9)),
        faces_now=st.integers(0, 10**6),
    ),
    st.builds(CameraState, camera=NAME, status=st.sampled_from(CameraStatus), reason=st.text(), since_ns=UTC, fps=st.floats(0, 1000)),
)
VALIDATORS = {name: jsonschema.Draft202012Validator(json_schema(name)) for name in MODELS}


def make_encoder(clock: FakeClock | None = None) -> Encoder:
    return Encoder(node="edge-1", boot_id="boot", model=ModelRef("emotion-edge", "1.0.0"), clock=clock or FakeClock())


def encoded(event: Event) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(make_encoder().encode(event).payload)
    return value


@given(EVENT)
def test_every_event_is_what_the_model_and_the_schema_say(event: Event) -> None:
    message = make_encoder().encode(event)
    document = json.loads(message.payload)
    VALIDATORS[message.schema].validate(document)
    model = parse(message.payload)
    absent = {"latency_ms", "abstained", "availability", "source"}
    dumped = json.loads(model.model_dump_json(by_alias=True))
    assert _without_absent(dumped, absent) == _with_times_as_pydantic(document)


def _without_absent(value: Any, names: set[str]) -> Any:
    if isinstance(value, dict):
        return {k: _without_absent(v, names) for k, v in value.items() if not (k in names and v is None)}
    return value


def _with_times_as_pydantic(document: dict[str, Any]) -> dict[str, Any]:
    """Pydantic writes microseconds where there are any; the wire always has three digits."""
    from pydantic import AwareDatetime, TypeAdapter

    times = TypeAdapter(AwareDatetime)
    return {
        key: json.loads(times.dump_json(times.validate_python(value))) if key in ("captured_at", "at", "since") else value
        for key, value in document.items()
    }


@given(EVENT)
def test_compact_utf8_on_one_line(event: Event) -> None:
    payload = make_encoder().encode(event).payload
    assert b"\n" not in payload
    assert payload == json.dumps(json.loads(payload), ensure_ascii=False, separators=(",", ":")).encode()


def test_the_file_of_a_recording_is_part_of_its_events() -> None:
    encoder = Encoder(node="n", boot_id="b", model=ModelRef("m", "1"), clock=FakeClock(), sources={"door": "Front $5.mp4"})
    for camera, expected in (("door", "Front $5.mp4"), ("hall", None)):
        message = encoder.encode(CameraState(camera, CameraStatus.ONLINE, "", 0))
        assert json.loads(message.payload).get("source") == expected
        parse(message.payload)


def test_the_documented_example() -> None:
    clock = FakeClock(monotonic_ns=1_014_200_000)
    event = FaceEvent(
        FrameInfo("door", 451, 15_030_000_000, 1_000_000_000, 1_763_757_095_125_900_000, 1920, 1080, live=True),
        Track("door-1f3c-12", TrackState.PRESENT, 3_200_000_000),
        Face(Box(100.04, 200.06, 80.0, 91.25), 0.98, ((1.0, 2.0), (3.0, 4.0), (5.0, 6.0), (7.0, 8.0), (9.0, 10.0))),
        Emotion(Verdict("happy", 0.93), Verdict("happy", 0.91), (0.01, 0.01, 0.01, 0.93, 0.01, 0.01, 0.02)),
    )
    assert json.loads(make_encoder(clock).encode(event).payload) == {
        "schema": "ferstream.face/1",
        "node": "edge-1",
        "camera": "door",
        "boot_id": "boot",
        "seq": 0,
        "captured_at": "2025-11-21T20:31:35.125Z",
        "frame": {"index": 451, "media_time_s": 15.03, "width": 1920, "height": 1080},
        "track": {"id": "door-1f3c-12", "state": "present", "age_s": 3.2},
        "face": {"box": [100.0, 200.1, 80.0, 91.2], "score": 0.98, "landmarks": [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10]]},
        "emotion": {
            "label": "happy",
            "confidence": 0.93,
            "probabilities": {
                "angry": 0.01,
                "disgust": 0.01,
                "fear": 0.01,
                "happy": 0.93,
                "sad": 0.01,
                "surprise": 0.01,
                "neutral": 0.02,
            },
            "smoothed": {"label": "happy", "confidence": 0.91},
        },
        "latency_ms": {"capture_to_publish": 14.2},
        "model": {"name": "emotion-edge", "version": "1.0.0"},
    }


def test_probabilities_keep_the_order_of_the_labels() -> None:
    assert list(encoded(face_event())["emotion"]["probabilities"]) == list(LABELS)


def test_a_state_names_the_topic_that_says_whether_it_still_counts() -> None:
    encoder = Encoder(node="n", boot_id="b", model=ModelRef("m", "1"), clock=FakeClock(), availability="ferstream/n/availability")
    message = encoder.encode(CameraState("door", CameraStatus.ONLINE, "", 0, 25.0))
    assert json.loads(message.payload)["availability"] == "ferstream/n/availability"
    VALIDATORS[message.schema].validate(json.loads(message.payload))
    assert "availability" not in encoded(CameraState("door", CameraStatus.ONLINE, "", 0))


def test_an_unknown_face_says_why_and_a_known_one_does_not() -> None:
    assert encoded(face_event(label=UNKNOWN))["emotion"] == {
        "label": "unknown",
        "confidence": 0.0,
        "probabilities": None,
        "smoothed": {"label": "unknown", "confidence": 0.0},
        "abstained": "small",
    }
    assert "abstained" not in encoded(face_event())["emotion"]


def test_a_recording_has_no_latency() -> None:
    assert "latency_ms" not in encoded(face_event(live=False))
    assert "latency_ms" in encoded(face_event(live=True))


def test_numbers_count_per_camera_and_schema() -> None:
    encoder = make_encoder()
    events: list[Event] = [face_event(), track_event(), face_event(), face_event(camera="hall"), track_event()]
    numbers = [(m.camera, m.schema.split(".")[1], m.seq) for m in map(encoder.encode, events)]
    assert numbers == [("door", "face/1", 0), ("door", "track/1", 0), ("door", "face/1", 1), ("hall", "face/1", 0), ("door", "track/1", 1)]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_no_number_is_refused_and_leaves_a_gap(bad: float) -> None:
    encoder = make_encoder()
    broken = FaceEvent(frame_info(), track(), Face(Box(bad, 0, 1, 1), 0.5, face().landmarks), emotion())
    with pytest.raises(ValueError, match="Out of range float"):
        encoder.encode(broken)
    assert encoder.encode(face_event()).seq == 1


def test_numpy_numbers_are_rounded_like_others() -> None:
    shares = tuple(np.full(7, 1 / 7, np.float32))
    value = Emotion(Verdict("happy", np.float32(0.1)), Verdict("happy", 0.1), shares)  # type: ignore[arg-type]
    text = make_encoder().encode(FaceEvent(frame_info(), track(), face(), value)).payload
    assert b'"confidence":0.1,' in text
    assert b'"angry":0.1429,' in text


@given(UTC)
def test_times_round_down_and_parse_back(at_ns: int) -> None:
    from datetime import datetime

    text = iso_utc(at_ns)
    assert text.endswith("Z") and len(text) == len("2026-11-21T20:31:35.125Z")
    parsed = datetime.fromisoformat(text)
    assert round(parsed.timestamp() * 1000) == at_ns // 1_000_000


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": "other/1"}', '{"schema": "ferstream.face/1"}', "nonsense"])
def test_parse_refuses_what_is_no_event(text: str) -> None:
    with pytest.raises(ValueError):
        parse(text)


def test_unknown_keys_are_refused() -> None:
    document = encoded(face_event()) | {"extra": 1}
    with pytest.raises(ValueError, match="extra"):
        parse(json.dumps(document))
    assert not VALIDATORS[FACE].is_valid(document)


def with_one_more_text(value: Any) -> list[Any]:
    """Copies of a document: in each, another of its objects has one more key."""
    if isinstance(value, list):
        return [[*value[:at], copy, *value[at + 1 :]] for at, part in enumerate(value) for copy in with_one_more_text(part)]
    if not isinstance(value, dict):
        return []
    return [value | {"picture": "iVBORw0KGgo="}, *(value | {key: copy} for key, part in value.items() for copy in with_one_more_text(part))]


@pytest.mark.parametrize("event", [face_event(), track_event(), Summary("door", 0, 10.0, {"happy": 1}, 1), camera_state()])
def test_a_picture_in_any_part_of_an_event_is_refused(event: Event) -> None:
    document = encoded(event)
    validator = VALIDATORS[document["schema"]]
    assert validator.is_valid(document)
    assert [copy for copy in with_one_more_text(document) if validator.is_valid(copy)] == []


def test_state_names_every_status() -> None:
    statuses = json_schema(STATE)["$defs"]["CameraStatus"]["enum"]
    assert statuses == [status.value for status in CameraStatus]


@pytest.mark.parametrize("name", MODELS)
def test_the_schema_in_docs_is_current(name: str, root_dir: Path) -> None:
    path = root_dir / "docs/schema" / (name.removeprefix("ferstream.").replace("/", "-") + ".json")
    assert json.loads(path.read_text()) == json_schema(name), "run: ferstream schema --directory docs/schema"


@pytest.mark.parametrize("name", MODELS)
def test_the_schema_is_a_schema_and_every_property_is_explained(name: str) -> None:
    schema = json_schema(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["additionalProperties"] is False
    unexplained = [key for key, part in schema["properties"].items() if not part.get("description") and "$ref" not in part]
    assert set(unexplained) <= {"schema"}
