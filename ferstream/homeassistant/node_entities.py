"""The entities of the node itself, as components of its discovery message: is it running, and how well."""

from __future__ import annotations

from ferstream.homeassistant.devices import DiscoveryOptions, NodeDevice
from ferstream.homeassistant.templates import ONLY_ONLINE, Component, Entities, expire_after, value

PLATFORMS = {
    "running": "binary_sensor",
    "cameras_online": "sensor",
    "fps": "sensor",
    "outbox_events": "sensor",
    "outbox_problem": "binary_sensor",
    "overloaded": "binary_sensor",
    "model": "sensor",
    "version": "sensor",
    "started": "sensor",
}
"""The platform of each component of the node."""


def node_entities(node: NodeDevice, options: DiscoveryOptions) -> Entities:
    """Return the components of the node by their keys."""
    values = {
        "cameras_online": _measurement("Cameras online", "mdi:cctv", "cameras_online", unit="cameras"),
        "fps": _measurement("Frame rate", "mdi:speedometer", "fps", unit="fps"),
        "outbox_events": _measurement("Events waiting", "mdi:tray-full", "outbox_events", unit="events"),
        "outbox_problem": _problem("Outbox problem", "outbox_problem"),
        "overloaded": _problem("Overloaded", "overloaded"),
        "model": {"name": "Model", "icon": "mdi:brain", "value_template": value("value_json.model")},
        "version": {"name": "Version", "icon": "mdi:tag-outline", "value_template": value("value_json.version")},
        "started": {"name": "Started", "device_class": "timestamp", "value_template": value("value_json.started_at")},
    }
    common = {"entity_category": "diagnostic", "state_topic": node.values, "expire_after": expire_after(options.node_interval_s)}
    return {"running": _running(node), **{key: component | common for key, component in values.items()}}


def node_availability(node: NodeDevice) -> list[dict[str, str]]:
    """Return the availability of the node's entities."""
    return [{"topic": node.availability, "value_template": ONLY_ONLINE}]


def _running(node: NodeDevice) -> Component:
    return {
        "name": "Running",
        "device_class": "running",
        "entity_category": "diagnostic",
        "state_topic": node.availability,
        "value_template": "{{ 'ON' if value == 'online' else 'OFF' }}",
        # Always available: whether the node is online is its value.
        "availability": [{"topic": node.availability, "value_template": "{{ 'online' }}"}],
    }


def _measurement(name: str, icon: str, key: str, *, unit: str) -> Component:
    return {
        "name": name,
        "icon": icon,
        "value_template": value(f"value_json.{key}"),
        "state_class": "measurement",
        "unit_of_measurement": unit,
    }


def _problem(name: str, key: str) -> Component:
    return {"name": name, "device_class": "problem", "value_template": value(f"'ON' if value_json.{key} else 'OFF'")}
