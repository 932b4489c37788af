"""A node and a camera as they are announced to Home Assistant, and the camera's entities."""

from __future__ import annotations

from typing import Any

from ferstream.homeassistant.devices import CameraDevice, DiscoveryOptions, NodeDevice
from ferstream.homeassistant.discovery import discovery_messages
from ferstream.homeassistant.ids import device_id
from tests.support.discovery_schema import check_all


def node(name: str = "edge-1", prefix: str = "ferstream", **more: Any) -> NodeDevice:
    root = f"{prefix}/{name}"
    return NodeDevice(
        id=device_id(prefix, name), name=name, version="1.2.3", availability=f"{root}/availability", values=f"{root}/node", **more
    )


def camera(name: str = "door", of: str = "edge-1", prefix: str = "ferstream", *, commands: bool = True) -> CameraDevice:
    root = f"{prefix}/{of}/{name}"
    return CameraDevice(
        id=device_id(prefix, of, name),
        name=name,
        state=f"{root}/state",
        summary=f"{root}/summary",
        track=f"{root}/track",
        command=f"{root}/set" if commands else None,
    )


def options(**changes: Any) -> DiscoveryOptions:
    values: dict[str, Any] = {
        "prefix": "homeassistant",
        "per_entity": False,
        "single_faces": True,
        "summary_interval_s": 10.0,
        "state_expiry_s": 900,
        "node_interval_s": 30.0,
    }
    return DiscoveryOptions(**values | changes)


def entities(*, commands: bool = True, **changes: Any) -> dict[str, dict[str, Any]]:
    """The entities of the camera door by the end of their unique ids."""
    made = check_all(discovery_messages(node(), [camera(commands=commands)], options(**changes)), "homeassistant")
    head = camera().id + "_"
    return {entity["unique_id"].removeprefix(head): entity for entity in made if entity["unique_id"].startswith(head)}
