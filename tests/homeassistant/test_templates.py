"""The templates, rendered as Home Assistant does, on the payloads of the code."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import jinja2
import pytest

from ferstream.domain.event import CameraStatus, Summary
from ferstream.events.encode import Encoder
from ferstream.events.node import encode_node
from ferstream.homeassistant.devices import NodeDevice
from ferstream.homeassistant.node_entities import node_entities
from ferstream.homeassistant.templates import expire_after
from tests.support.builders import UTC_NS, camera_state, node_state, track_event
from tests.support.discovered import entities, node, options

ENVIRONMENT = jinja2.Environment(undefined=jinja2.StrictUndefined)
ENVIRONMENT.filters["tojson"] = json.dumps


def rendered(template: str, payload: bytes) -> str:
    """The text of a template; ``value_json`` is missing for what is not JSON, as in Home Assistant."""
    values: dict[str, Any] = {"value": payload.decode()}
    with contextlib.suppress(ValueError):
        values["value_json"] = json.loads(payload)
    return ENVIRONMENT.from_string(template).render(values)


@pytest.mark.parametrize(
    ("counts", "faces", "expected"),
    [
        ({"happy": 5, "sad": 2}, 2, ("2", "ON", "happy")),
        ({"unknown": 5, "sad": 2}, 1, ("1", "ON", "unknown")),
        ({}, 0, ("0", "OFF", "none")),
    ],
)
def test_values_of_a_summary(encoder: Encoder, counts: dict[str, int], faces: int, expected: tuple[str, ...]) -> None:
    payload = encoder.encode(Summary("door", UTC_NS, 10.0, counts, faces)).payload
    made = entities()
    assert tuple(rendered(made[key]["value_template"], payload) for key in ("faces_now", "face_present", "dominant")) == expected
    assert expected[2] in made["dominant"]["options"]
    attributes = json.loads(rendered(made["dominant"]["json_attributes_template"], payload))
    assert attributes["happy"] == counts.get("happy", 0)


@pytest.mark.parametrize("status", CameraStatus)
def test_values_of_a_state(encoder: Encoder, status: CameraStatus) -> None:
    payload = encoder.encode(camera_state(status=status)).payload
    made = entities()
    online, enabled = status is CameraStatus.ONLINE, status is not CameraStatus.DISABLED
    assert rendered(made["status"]["value_template"], payload) == status.value
    assert rendered(made["enabled"]["value_template"], payload) == ("ON" if enabled else "OFF")
    assert rendered(made["faces_now"]["availability"][1]["value_template"], payload) == ("online" if online else "offline")
    assert float(rendered(made["fps"]["value_template"], payload)) >= 0
    assert json.loads(rendered(made["status"]["json_attributes_template"], payload)).keys() == {"reason", "since"}


def test_values_of_a_track_event(encoder: Encoder) -> None:
    event = track_event()
    made = json.loads(rendered(entities()["expression"]["value_template"], encoder.encode(event).payload))
    assert made["event_type"] in entities()["expression"]["event_types"]
    assert (made["track"], made["label"], made["previous_label"]) == (event.track.id, event.smoothed.label, event.previous_label)


@pytest.mark.parametrize(("word", "expected"), [(b"online", "online"), (b"offline", "offline"), (b"stopped", "offline"), (b"", "offline")])
def test_a_node_that_stopped_is_offline(word: bytes, expected: str) -> None:
    for entity in entities().values():
        assert rendered(entity["availability"][0]["value_template"], word) == expected


def test_an_emptied_topic_is_no_value_and_no_error() -> None:
    for entity in entities().values():
        assert rendered(entity["value_template"], b"") == "None"
        assert rendered(entity["availability"][-1]["value_template"], b"") == "offline"


def values_of_node(device: NodeDevice, payload: bytes) -> dict[str, str]:
    made = node_entities(device, options())
    return {key: rendered(entity["value_template"], payload) for key, entity in made.items() if entity is not None and key != "running"}


def test_values_of_the_node() -> None:
    made = values_of_node(node(), encode_node(node_state(outbox_problem="the disk is full")))
    assert made == {
        "cameras_online": "2",
        "fps": "24.9",
        "outbox_events": "7",
        "outbox_problem": "ON",
        "overloaded": "OFF",
        "model": "emotion-edge/1.1.0",
        "version": "1.2.3",
        "started": "2025-11-21T20:31:35.125Z",
    }


def test_the_node_says_whether_it_runs() -> None:
    running = node_entities(node(), options())["running"]
    assert running is not None
    words = {word: rendered(running["value_template"], word) for word in (b"online", b"offline", b"stopped")}
    assert words == {b"online": "ON", b"offline": "OFF", b"stopped": "OFF"}
    assert rendered(running["availability"][0]["value_template"], b"stopped") == "online"


@pytest.mark.parametrize(("interval_s", "expected"), [(0.5, 5), (10.0, 30), (86_400.0, 259_200), (3.5, 11)])
def test_a_value_is_good_for_three_intervals(interval_s: float, expected: int) -> None:
    assert expire_after(interval_s) == expected
