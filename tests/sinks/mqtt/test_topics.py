"""Topic names."""

from __future__ import annotations

import pytest

from ferstream.errors import ConfigError
from ferstream.events.schemas import FACE, STATE, SUMMARY, TRACK
from ferstream.sinks.mqtt.topics import Topics


def test_the_documented_topics() -> None:
    topics = Topics(prefix="site/ferstream", node="edge-1")
    assert topics.availability == "site/ferstream/edge-1/availability"
    assert [topics.of("door", schema) for schema in (FACE, TRACK, SUMMARY, STATE)] == [
        f"site/ferstream/edge-1/door/{kind}" for kind in ("face", "track", "summary", "state")
    ]
    assert topics.of("door", FACE) is topics.of("door", FACE)
    assert topics.everything == "site/ferstream/edge-1/#"


@pytest.mark.parametrize(
    ("topic", "camera"),
    [
        ("ferstream/n/door/set", "door"),
        ("ferstream/n/door/face", None),
        ("ferstream/n/a/door/set", None),
        ("other/n/door/set", None),
        ("ferstream/n/set", None),
    ],
)
def test_which_camera_a_command_is_for(topic: str, camera: str | None) -> None:
    assert Topics(prefix="ferstream", node="n").command_camera(topic) == camera


@pytest.mark.parametrize("prefix", ["", "/a", "a/", "a//b", "a/+", "#", "a\0b", "$SYS", "a\nb", "x" * 257])
def test_prefixes_that_cannot_be(prefix: str) -> None:
    with pytest.raises(ConfigError, match=r"mqtt\.prefix"):
        Topics(prefix=prefix, node="n")


@pytest.mark.parametrize("node", ["", "a/b", "a+", "a#"])
def test_nodes_that_cannot_be(node: str) -> None:
    with pytest.raises(ConfigError, match="node"):
        Topics(prefix="ferstream", node=node)
