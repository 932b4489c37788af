"""The ids of the event schemas: what kinds of messages there are."""

from __future__ import annotations

FACE = "ferstream.face/1"
"""One face in one frame."""
TRACK = "ferstream.track/1"
"""A face appeared, changed its label, or left."""
SUMMARY = "ferstream.summary/1"
"""Counts of one camera over an interval."""
STATE = "ferstream.state/1"
"""The state of a camera."""

NODE = "ferstream.node/1"
"""The state of the node itself; no event of a camera."""

KINDS: dict[str, str] = {FACE: "face", TRACK: "track", SUMMARY: "summary", STATE: "state"}
"""Short name of each schema: the last level of its MQTT topic, and its name in the settings."""
SCHEMAS = frozenset(KINDS)
