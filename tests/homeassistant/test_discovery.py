"""The discovery messages are what Home Assistant accepts, whatever the settings and names."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.domain.emotion import LABELS
from ferstream.domain.event import CameraStatus
from ferstream.homeassistant.discovery import birth_topics, discovery_messages
from ferstream.homeassistant.ids import device_id
from tests.support.discovered import camera, entities, node, options
from tests.support.discovery_schema import check_all

CHARACTERS = st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"], exclude_characters="/+#")
NAMES = st.text(CHARACTERS, min_size=1, max_size=40)
PREFIXES = st.lists(NAMES, min_size=1, max_size=3).map("/".join)


@given(
    name=NAMES,
    prefix=PREFIXES,
    discovery_prefix=PREFIXES,
    cameras=st.lists(NAMES, unique=True, max_size=4),
    per_entity=st.booleans(),
    single_faces=st.booleans(),
    commands=st.booleans(),
    interval=st.floats(0.001, 86_400),
)
def test_messages_are_accepted_whatever_the_names(
    name: str,
    prefix: str,
    discovery_prefix: str,
    cameras: list[str],
    per_entity: bool,
    single_faces: bool,
    commands: bool,
    interval: float,
) -> None:
    made = discovery_messages(
        node(name, prefix),
        [camera(one, name, prefix, commands=commands) for one in cameras],
        options(prefix=discovery_prefix, per_entity=per_entity, single_faces=single_faces, summary_interval_s=interval),
    )
    found = check_all(made, discovery_prefix)
    assert {entity["device"]["identifiers"][0] for entity in found} == {
        device_id(prefix, name),
        *(device_id(prefix, name, one) for one in cameras),
    }
    assert len(made) == (len(found) if per_entity else len(cameras) + 1)


@given(first=st.tuples(PREFIXES, NAMES, NAMES), second=st.tuples(PREFIXES, NAMES, NAMES))
def test_ids_differ_where_names_do_and_stay_the_same(first: tuple[str, str, str], second: tuple[str, str, str]) -> None:
    assert (device_id(*first) == device_id(*second)) == (first == second)
    assert device_id(*first) != device_id(*first[:2])


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("ferstream", "edge-1", "door"), "ferstream_edge-1_door_"),
        (("ferstream", "Büro", "Tür 1"), "ferstream_Buro_Tur_1_"),
        (("ferstream", "工場", "入口"), "ferstream_"),
        (("a/b", "x" * 64, "y" * 64), f"ferstream_{'x' * 32}_{'y' * 32}_"),
    ],
)
def test_an_id_is_readable(names: tuple[str, ...], expected: str) -> None:
    made = device_id(*names)
    assert made.startswith(expected)
    assert len(made) == len(expected) + 8


def test_an_id_is_that_of_earlier_releases() -> None:
    assert device_id("ferstream", "edge-1", "door") == "ferstream_edge-1_door_2c447439"  # entities lose their history if this changes


def test_the_two_forms_announce_the_same_entities() -> None:
    device, single = (
        check_all(discovery_messages(node(), [camera()], options(per_entity=per_entity)), "homeassistant") for per_entity in (False, True)
    )
    by_id = {entity["unique_id"]: entity for entity in device}
    assert len(by_id) == len(single) == 16
    for entity in single:
        alone = {key: value for key, value in entity.items() if key not in {"origin", "availability_mode"}}
        assert alone == by_id[entity["unique_id"]]
        assert entity["availability_mode"] == "all"


def test_a_camera_has_these_entities() -> None:
    made = entities()
    assert list(made) == ["faces_now", "face_present", "dominant", "expression", "enabled", "fps", "status"]
    assert made["dominant"]["options"] == [*LABELS, "unknown", "none"]
    assert made["expression"]["event_types"] == ["appeared", "changed", "left"]
    assert made["status"]["options"] == [status.value for status in CameraStatus]
    assert made["face_present"]["device_class"] == "occupancy"
    assert made["enabled"]["command_topic"] == "ferstream/edge-1/door/set"
    assert made["faces_now"]["expire_after"] == made["dominant"]["expire_after"] == 30
    assert made["faces_now"]["device"]["via_device"] == node().id


def test_what_says_that_a_camera_is_off_is_available_while_it_is() -> None:
    made = entities()
    topics = {key: [part["topic"] for part in entity["availability"]] for key, entity in made.items()}
    only_node, both = ["ferstream/edge-1/availability"], ["ferstream/edge-1/availability", "ferstream/edge-1/door/state"]
    assert topics == {key: only_node if key in {"enabled", "status"} else both for key in made}


def test_without_commands_there_is_no_switch_and_an_earlier_one_is_removed() -> None:
    assert "enabled" not in entities(commands=False)
    (_, payload) = discovery_messages(node(), [camera(commands=False)], options()).values()
    assert json.loads(payload)["components"]["enabled"] == {"platform": "switch"}


def test_with_groups_only_no_entity_reads_events_of_single_faces() -> None:
    for per_entity in (False, True):
        made = discovery_messages(node(), [camera()], options(single_faces=False, per_entity=per_entity))
        assert not any(b"/track" in payload or b"/face" in payload for payload in made.values())
        assert "expression" not in entities(single_faces=False, per_entity=per_entity)
    (_, payload) = discovery_messages(node(), [camera()], options(single_faces=False)).values()
    assert json.loads(payload)["components"]["expression"] == {"platform": "event"}
    assert entities(single_faces=False)["face_present"]["name"] == "Group present"


def test_the_page_is_the_nodes_only() -> None:
    made = check_all(discovery_messages(node(page="http://10.0.0.5:9108"), [camera()], options()), "homeassistant")
    pages = {entity["device"]["name"]: entity["device"].get("configuration_url") for entity in made}
    assert pages == {"ferstream edge-1": "http://10.0.0.5:9108", "edge-1 door": None}


def test_the_node_comes_first() -> None:
    first, *_ = discovery_messages(node(), [camera("b"), camera("a")], options())
    assert first == f"homeassistant/device/{node().id}/config"


@pytest.mark.parametrize(
    ("prefix", "topics"), [("homeassistant", ("homeassistant/status",)), ("ha", ("homeassistant/status", "ha/status"))]
)
def test_a_start_is_heard_on_the_default_topic_and_that_of_the_prefix(prefix: str, topics: tuple[str, ...]) -> None:
    assert birth_topics(prefix) == topics
