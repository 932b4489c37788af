"""What is announced: the node, its cameras, and the options. Plain values, made by ``app`` from the settings."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeDevice:
    """The machine that runs ferstream.

    Attributes:
        id: See ``device_id``.
        name: Name of the node.
        version: Version of ferstream.
        availability: Topic of ``online``, ``offline`` and ``stopped``.
        values: Topic of ``ferstream.node/1``.
        page: URL of the node's web page; None if other machines cannot reach it.
    """

    id: str
    name: str
    version: str
    availability: str
    values: str
    page: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraDevice:
    """One camera.

    Attributes:
        id: See ``device_id``.
        name: Name of the camera.
        state: Topic of ``ferstream.state/1``.
        summary: Topic of ``ferstream.summary/1``.
        track: Topic of ``ferstream.track/1``.
        command: Topic of ``ON`` and ``OFF``; None while commands are not accepted.
    """

    id: str
    name: str
    state: str
    summary: str
    track: str
    command: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveryOptions:
    """How devices are announced.

    Attributes:
        prefix: Discovery prefix of Home Assistant.
        per_entity: One message for each entity, not for each device.
        single_faces: Whether events of single faces are published; without them no entity is about a single face.
        summary_interval_s: Interval of the summaries in seconds.
        state_expiry_s: Longest age in seconds of a camera's state.
        node_interval_s: Interval of the node's values in seconds.
    """

    prefix: str
    per_entity: bool
    single_faces: bool
    summary_interval_s: float
    state_expiry_s: int
    node_interval_s: float
