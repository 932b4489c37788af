"""What Home Assistant accepts as a discovery message, written down from its documentation and its source; stricter than it is.

Home Assistant refuses unknown keys at the top level of a device's message and drops them inside
components; here they are errors everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]

TOPIC = re.compile(r"(?P<component>\w+)/(?:(?P<node_id>[a-zA-Z0-9_-]+)/)?(?P<object_id>[a-zA-Z0-9_-]+)/config")
DEVICE_KEYS = {"identifiers", "name", "manufacturer", "model", "sw_version", "via_device", "configuration_url"}
COMMON = {"name", "icon", "entity_category", "unique_id", "state_topic", "value_template", "qos", "availability", "availability_mode"}
MEASURED = {"device_class", "expire_after"}
ATTRIBUTES = {"json_attributes_topic", "json_attributes_template"}
PLATFORM_KEYS = {
    "sensor": COMMON | MEASURED | ATTRIBUTES | {"options", "state_class", "unit_of_measurement"},
    "binary_sensor": COMMON | MEASURED | ATTRIBUTES,
    "event": COMMON | {"event_types"},
    "switch": COMMON | {"command_topic"},
}
REQUIRED = {
    "sensor": {"state_topic"},
    "binary_sensor": {"state_topic"},
    "event": {"state_topic", "event_types"},
    "switch": {"command_topic"},
}
DEVICE_CLASSES = {
    "sensor": {"enum", "timestamp"},
    "binary_sensor": {"occupancy", "problem", "running"},
}
TOP_OF_DEVICE = {"device", "origin", "components", "availability", "availability_mode"}


def check_all(messages: Mapping[str, bytes], prefix: str) -> list[Json]:
    """Check all messages of one node; return every entity with its device, without those that are only removed."""
    import json

    entities = [entity for topic, payload in messages.items() for entity in check(topic.removeprefix(f"{prefix}/"), json.loads(payload))]
    ids = [entity["unique_id"] for entity in entities]
    assert len(set(ids)) == len(ids), "unique_id twice"
    known = {identifier for entity in entities for identifier in entity["device"]["identifiers"]}
    assert all(entity["device"].get("via_device", next(iter(known))) in known for entity in entities), "via_device is no device"
    return entities


def check(topic: str, message: Json) -> list[Json]:
    """Check one message on a topic without its prefix; return its entities."""
    match = TOPIC.fullmatch(topic)
    assert match is not None, f"not a discovery topic: {topic}"
    check_device(message["device"])
    assert set(message["origin"]) == {"name", "sw_version"}
    if match["component"] != "device":
        entity = {key: value for key, value in message.items() if key not in {"device", "origin"}}
        check_component(match["component"], entity)
        return [message]
    assert set(message) == TOP_OF_DEVICE
    check_availability(message["availability"])
    assert message["availability_mode"] == "all"
    return [entity for key, component in message["components"].items() for entity in check_of_device(key, component, message)]


def check_of_device(key: str, component: Json, message: Json) -> list[Json]:
    """Check one component of a device's message."""
    assert re.fullmatch(r"[a-zA-Z0-9_-]+", key)
    entity = dict(component)
    platform = entity.pop("platform")
    if not entity:  # removed
        return []
    check_component(platform, entity)
    return [{"availability": message["availability"], "device": message["device"], **entity}]


def check_component(platform: str, entity: Json) -> None:
    """Check the keys and values of an entity."""
    allowed = PLATFORM_KEYS[platform]
    assert set(entity) <= allowed, f"{platform}: unknown {set(entity) - allowed}"
    assert REQUIRED[platform] | {"unique_id", "name"} <= set(entity)
    assert all(isinstance(entity[key], str) and entity[key] for key in entity.keys() & COMMON - {"qos", "availability"})
    for key in entity.keys() & {"state_topic", "command_topic", "json_attributes_topic"}:
        check_topic(entity[key])
    assert entity.get("qos", 0) in {0, 1, 2}
    assert entity.get("entity_category", "diagnostic") == "diagnostic" or (platform == "switch" and entity["entity_category"] == "config")
    assert "device_class" not in entity or entity["device_class"] in DEVICE_CLASSES[platform]
    assert type(entity.get("expire_after", 1)) is int and entity.get("expire_after", 1) > 0
    assert re.fullmatch(r"mdi:[a-z-]+", entity.get("icon", "mdi:x"))
    if "availability" in entity:
        check_availability(entity["availability"])
    check_options(entity)


def check_options(entity: Json) -> None:
    """Check the list of an enum, and that a measurement has none."""
    assert ("options" in entity) == (entity.get("device_class") == "enum")
    if "options" in entity:
        assert entity["options"] and len(set(entity["options"])) == len(entity["options"])
        assert not {"state_class", "unit_of_measurement"} & set(entity)


def check_availability(availability: list[Json]) -> None:
    """Check that an availability reads topics, with templates."""
    assert availability
    for part in availability:
        assert set(part) == {"topic", "value_template"}
        check_topic(part["topic"])


def check_device(device: Json) -> None:
    """Check a device."""
    assert set(device) <= DEVICE_KEYS
    assert {"identifiers", "name", "manufacturer", "model", "sw_version"} <= set(device)
    assert device["identifiers"] and all(isinstance(identifier, str) and identifier for identifier in device["identifiers"])
    assert all(isinstance(device[key], str) and device[key] for key in set(device) - {"identifiers"})
    assert re.fullmatch(r"https?://[^/\s]+", device.get("configuration_url", "http://host"))


def check_topic(topic: str) -> None:
    """Check that a topic can be subscribed to, and has no wildcard."""
    assert topic
    assert len(topic.encode()) <= 65535
    assert not set(topic) & set("+#\0")
