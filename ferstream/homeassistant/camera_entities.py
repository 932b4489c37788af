"""The entities of a camera, as components of its discovery message."""

from __future__ import annotations

from ferstream.domain.emotion import LABELS, UNKNOWN
from ferstream.domain.event import CameraStatus, TrackChange
from ferstream.homeassistant.devices import CameraDevice, DiscoveryOptions, NodeDevice
from ferstream.homeassistant.templates import ONLY_ONLINE, Component, Entities, expire_after, value

NONE = "none"
"""State of the dominant expression when no face was seen."""


def camera_entities(camera: CameraDevice, node: NodeDevice, options: DiscoveryOptions) -> Entities:
    """Return the components of a camera by their keys; None for one that is not offered by these options."""
    return {
        "faces_now": _faces_now(camera, options),
        "face_present": _face_present(camera, options),
        "dominant": _dominant(camera, options),
        "expression": _expression(camera) if options.single_faces else None,
        "enabled": _enabled(camera, camera.command, node) if camera.command is not None else None,
        "fps": _fps(camera, options),
        "status": _status(camera, node, options),
    }


PLATFORMS = {
    "faces_now": "sensor",
    "face_present": "binary_sensor",
    "dominant": "sensor",
    "expression": "event",
    "enabled": "switch",
    "fps": "sensor",
    "status": "sensor",
}
"""The platform of each component of a camera."""


def camera_availability(camera: CameraDevice, node: NodeDevice) -> list[dict[str, str]]:
    """Return the availability of a camera's entities: the node is online, and so is the camera."""
    online = value("'online' if value_json.status == 'online' else 'offline'", missing="offline")
    return [
        {"topic": node.availability, "value_template": ONLY_ONLINE},
        {"topic": camera.state, "value_template": online},
    ]


def _faces_now(camera: CameraDevice, options: DiscoveryOptions) -> Component:
    return {
        "name": "Faces now",
        "icon": "mdi:face-recognition",
        "state_topic": camera.summary,
        "value_template": value("value_json.faces_now"),
        "state_class": "measurement",
        "unit_of_measurement": "faces",
        "expire_after": expire_after(options.summary_interval_s),
    }


def _face_present(camera: CameraDevice, options: DiscoveryOptions) -> Component:
    return {
        "name": "Face present" if options.single_faces else "Group present",
        "device_class": "occupancy",
        "state_topic": camera.summary,
        "value_template": value("'ON' if value_json.faces_now > 0 else 'OFF'"),
        "expire_after": expire_after(options.summary_interval_s),
    }


def _dominant(camera: CameraDevice, options: DiscoveryOptions) -> Component:
    return {
        "name": "Dominant expression",
        "icon": "mdi:emoticon-outline",
        "device_class": "enum",
        "options": [*LABELS, UNKNOWN, NONE],
        "state_topic": camera.summary,
        "value_template": value(f"value_json.dominant or '{NONE}'"),
        "json_attributes_topic": camera.summary,
        "json_attributes_template": value("value_json.counts | tojson", missing="{}"),
        "expire_after": expire_after(options.summary_interval_s),
    }


def _expression(camera: CameraDevice) -> Component:
    attributes = ", ".join(
        f"'{name}': value_json.{path}"
        for name, path in (
            ("event_type", "change"),
            ("track", "track.id"),
            ("label", "smoothed.label"),
            ("confidence", "smoothed.confidence"),
            ("previous_label", "previous_label"),
            ("dwell_s", "dwell_s"),
            ("captured_at", "captured_at"),
        )
    )
    return {
        "name": "Expression",
        "icon": "mdi:emoticon-outline",
        "state_topic": camera.track,
        "event_types": [change.value for change in TrackChange],
        "value_template": value(f"{{{attributes}}} | tojson"),
        "qos": 1,
    }


def _enabled(camera: CameraDevice, command: str, node: NodeDevice) -> Component:
    return {
        "name": "Enabled",
        "icon": "mdi:cctv",
        "entity_category": "config",
        "state_topic": camera.state,
        "value_template": value("'OFF' if value_json.status == 'disabled' else 'ON'"),
        "command_topic": command,
        "qos": 1,
        **_available_with(node),
    }


def _fps(camera: CameraDevice, options: DiscoveryOptions) -> Component:
    return {
        "name": "Frame rate",
        "icon": "mdi:speedometer",
        "entity_category": "diagnostic",
        "state_topic": camera.state,
        "value_template": value("value_json.fps"),
        "state_class": "measurement",
        "unit_of_measurement": "fps",
        "expire_after": options.state_expiry_s,
    }


def _status(camera: CameraDevice, node: NodeDevice, options: DiscoveryOptions) -> Component:
    return {
        "name": "Status",
        "icon": "mdi:cctv",
        "entity_category": "diagnostic",
        "device_class": "enum",
        "options": [status.value for status in CameraStatus],
        "state_topic": camera.state,
        "value_template": value("value_json.status"),
        "json_attributes_topic": camera.state,
        "json_attributes_template": value("{'reason': value_json.reason, 'since': value_json.since} | tojson", missing="{}"),
        "expire_after": options.state_expiry_s,
        **_available_with(node),
    }


def _available_with(node: NodeDevice) -> Component:
    """Return the availability of an entity that says something about a camera that is off: that of the node."""
    return {"availability": [{"topic": node.availability, "value_template": ONLY_ONLINE}]}
