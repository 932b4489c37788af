"""The discovery messages of a node: its own device and one for each camera, by topic. Pure functions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ferstream.homeassistant.camera_entities import PLATFORMS as CAMERA_PLATFORMS
from ferstream.homeassistant.camera_entities import camera_availability, camera_entities
from ferstream.homeassistant.devices import CameraDevice, DiscoveryOptions, NodeDevice
from ferstream.homeassistant.node_entities import PLATFORMS as NODE_PLATFORMS
from ferstream.homeassistant.node_entities import node_availability, node_entities
from ferstream.homeassistant.templates import Entities

Json = dict[str, Any]

ONLINE = b"online"
"""What Home Assistant publishes when it has started."""
NAME = "ferstream"

_to_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def birth_topics(prefix: str) -> tuple[str, ...]:
    """Return the topics on which Home Assistant says that it has started: the default, and that of the discovery prefix."""
    return tuple(dict.fromkeys(("homeassistant/status", f"{prefix}/status")))


@dataclass(frozen=True, slots=True)
class _Device:
    """A device with everything that its messages are made of.

    Attributes:
        info: Its description, with one identifier.
        availability: Topics that say whether it is available.
        entities: Its entities; None for one that is not offered.
        platforms: The platform of each entity.
    """

    info: Json
    availability: list[dict[str, str]]
    entities: Entities
    platforms: Mapping[str, str]

    @property
    def id(self) -> str:
        """Its identifier."""
        return str(self.info["identifiers"][0])

    def components(self) -> dict[str, Json]:
        """Return the entities that are offered, with their unique ids."""
        return {key: {**entity, "unique_id": f"{self.id}_{key}"} for key, entity in self.entities.items() if entity is not None}


def discovery_messages(node: NodeDevice, cameras: Iterable[CameraDevice], options: DiscoveryOptions) -> dict[str, bytes]:
    """Return the payload of each retained discovery message by its topic, the node first: cameras refer to it."""
    node_device = _Device(_node_info(node), node_availability(node), node_entities(node, options), NODE_PLATFORMS)
    devices = [node_device, *(_camera(camera, node, options) for camera in cameras)]
    make = _entity_messages if options.per_entity else _device_message
    return {topic: _to_json(payload).encode() for device in devices for topic, payload in make(device, node, options).items()}


def _device_message(device: _Device, node: NodeDevice, options: DiscoveryOptions) -> dict[str, Json]:
    """Return the one message of a device.

    An entity that is not offered is named with its platform only: Home Assistant then removes that of earlier settings.
    """
    offered = device.components()
    components = {key: {"platform": platform, **offered.get(key, {})} for key, platform in device.platforms.items()}
    return {f"{options.prefix}/device/{device.id}/config": {**_head(device, node), "components": components}}


def _entity_messages(device: _Device, node: NodeDevice, options: DiscoveryOptions) -> dict[str, Json]:
    """Return a message for each entity."""
    return {
        f"{options.prefix}/{device.platforms[key]}/{device.id}/{key}/config": _head(device, node) | entity
        for key, entity in device.components().items()
    }


def _head(device: _Device, node: NodeDevice) -> Json:
    return {
        "device": device.info,
        "origin": {"name": NAME, "sw_version": node.version},
        "availability": device.availability,
        "availability_mode": "all",
    }


def _camera(camera: CameraDevice, node: NodeDevice, options: DiscoveryOptions) -> _Device:
    return _Device(_camera_info(camera, node), camera_availability(camera, node), camera_entities(camera, node, options), CAMERA_PLATFORMS)


def _node_info(node: NodeDevice) -> Json:
    device = {
        "identifiers": [node.id],
        "name": f"{NAME} {node.name}",
        "manufacturer": NAME,
        "model": "Node",
        "sw_version": node.version,
    }
    return device if node.page is None else device | {"configuration_url": node.page}


def _camera_info(camera: CameraDevice, node: NodeDevice) -> Json:
    return {
        "identifiers": [camera.id],
        "name": f"{node.name} {camera.name}",
        "manufacturer": NAME,
        "model": "Camera",
        "sw_version": node.version,
        "via_device": node.id,
    }
