"""The examples of docs/home-assistant.md name entities and values that there are."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from tests.support.discovered import entities, node, options

CAMERAS = ("edge_1_door", "edge_1_hall")
OF_OTHERS = {"light.porch", "light.hall", "light.turn_on"}


def slug(text: str) -> str:
    """A name as Home Assistant makes entity ids of it."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower())


def test_the_examples_use_entities_and_values_that_exist(root_dir: Path) -> None:
    from ferstream.homeassistant.camera_entities import PLATFORMS as OF_CAMERA
    from ferstream.homeassistant.node_entities import PLATFORMS as OF_NODE
    from ferstream.homeassistant.node_entities import node_entities

    text = (root_dir / "docs/home-assistant.md").read_text()
    known = {f"{OF_CAMERA[key]}.{camera}_{slug(entity['name'])}" for key, entity in entities().items() for camera in CAMERAS}
    of_node = node_entities(node(), options())
    known |= {f"{OF_NODE[key]}.ferstream_edge_1_{slug(entity['name'])}" for key, entity in of_node.items() if entity is not None}
    named = set(re.findall(r"\b(?:sensor|binary_sensor|event|switch|light)\.[a-z][a-z0-9_]+", text))
    assert named - OF_OTHERS - {"light.turn_"} <= known
    assert {name for name in known if name.startswith(tuple(f"{platform}.edge_1_door" for platform in OF_CAMERA.values()))} <= named
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    smile = blocks[0]["automation"][0]
    states = {condition["attribute"]: condition["state"] for condition in smile["conditions"]}
    assert set(states["event_type"]) <= set(entities()["expression"]["event_types"])
    assert states["label"] in entities()["dominant"]["options"]
