"""The AsyncAPI document says what the code does: topics, QoS, retained, schemas."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ferstream.app.homeassistant import DiscoveryTimings
from ferstream.events.encode import Encoder
from ferstream.events.payload import MODELS
from ferstream.events.schemas import FACE, KINDS, NODE, STATE, SUMMARY
from ferstream.sinks.mqtt.messages import MESSAGE_EXPIRY_S, OFFLINE, ONLINE, STOPPED
from ferstream.sinks.mqtt.retained_messages import RetainedMessages
from ferstream.sinks.mqtt.timings import MqttTimings
from ferstream.sinks.mqtt.topics import Topics
from tests.support.builders import face_event

Document = dict[str, Any]


@pytest.fixture(scope="module")
def document(root_dir: Path) -> Document:
    value: Document = yaml.safe_load((root_dir / "docs/asyncapi.yaml").read_text())
    return value


def resolve(document: Document, reference: str) -> Any:
    value: Any = document
    for step in reference.removeprefix("#/").split("/"):
        value = value[step]
    return value


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        here = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return here + [ref for part in value.values() for ref in references(part)]
    return [ref for part in value for ref in references(part)] if isinstance(value, list) else []


def test_every_reference_leads_somewhere(document: Document, root_dir: Path) -> None:
    found = references(document)
    assert len(found) > 30
    for reference in found:
        if reference.startswith("#"):
            assert resolve(document, reference), reference
        else:
            assert json.loads((root_dir / "docs" / reference).read_text())


def test_it_is_asyncapi_3_with_all_that_is_required(document: Document) -> None:
    assert document["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= set(document["info"])
    for server in document["servers"].values():
        assert {"host", "protocol"} <= set(server)
    for channel in document["channels"].values():
        names = [part.strip("{}") for part in channel["address"].split("/") if part.startswith("{")]
        assert names == list(channel["parameters"])
        assert channel["messages"]
    for operation in document["operations"].values():
        assert operation["action"] in ("send", "receive")
        channel = operation["channel"]["$ref"]
        assert all(message["$ref"].startswith(channel) for message in operation["messages"])


def test_the_topics_are_those_of_the_code(document: Document) -> None:
    topics = Topics(prefix="p", node="n")
    addresses = {
        name: channel["address"].replace("{prefix}", "p").replace("{node}", "n").replace("{camera}", "c")
        for name, channel in document["channels"].items()
    }
    expected = {kind: topics.of("c", schema) for schema, kind in KINDS.items()}
    assert addresses == expected | {"availability": topics.availability, "node": topics.node, "set": topics.command("c")}
    assert topics.command_camera(addresses["set"]) == "c"


@pytest.mark.parametrize("schema", MODELS)
def test_each_schema_has_its_message_with_the_right_delivery(document: Document, schema: str, encoder: Encoder) -> None:
    kind = KINDS[schema]
    message = document["components"]["messages"][kind]
    assert message["title"] == schema
    assert message["payload"]["$ref"] == f"./schema/{kind}-1.json"
    operation = next(o for o in document["operations"].values() if o["channel"]["$ref"] == f"#/channels/{kind}")
    binding = resolve(document, operation["bindings"]["$ref"])["mqtt"]
    assert binding["retain"] is (schema in (STATE, SUMMARY))
    assert binding["qos"] == (0 if schema == SUMMARY else 1)


def test_state_is_retained_with_qos_1_and_summary_with_0(encoder: Encoder) -> None:
    from ferstream.domain.event import Summary
    from tests.support.builders import UTC_NS

    board = RetainedMessages(Topics(prefix="p", node="n"))
    board.set(encoder.encode(Summary("door", UTC_NS, 10.0, {}, 0)))
    (message,) = board.changed()
    assert (message.qos, message.retain) == (0, True)


def test_events_expire_when_the_document_says(document: Document) -> None:
    assert document["components"]["operationBindings"]["event"]["mqtt"]["messageExpiryInterval"] == MESSAGE_EXPIRY_S


def test_availability_and_states_are_refreshed_and_expire_when_the_document_says(document: Document) -> None:
    timings = MqttTimings()
    for channel in ("availability", "state"):
        text = document["channels"][channel]["description"]
        assert f"{timings.refresh_s:g} s" in text
        assert f"{timings.state_expiry_s} s" in text


def test_user_properties_are_fields_of_the_payload(document: Document, encoder: Encoder) -> None:
    headers = document["components"]["messageTraits"]["event"]["headers"]
    payload = json.loads(encoder.encode(face_event()).payload)
    assert payload["schema"] == FACE
    assert set(headers["required"]) <= set(payload)


def test_the_state_of_the_node_comes_and_expires_when_the_document_says(document: Document) -> None:
    text = document["channels"]["node"]["description"]
    assert f"every {DiscoveryTimings().node_s:g} s" in text
    assert f"after {MqttTimings().state_expiry_s} s" in text
    assert document["components"]["messages"]["node"]["title"] == NODE


def test_availability_has_these_words(document: Document) -> None:
    words = document["components"]["messages"]["availability"]["payload"]["enum"]
    assert [word.encode() for word in words] == [ONLINE, OFFLINE, STOPPED]
