"""``ferstream.node/1``: the state of the node itself, retained, published while the node is announced to Home Assistant."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from ferstream.events.encode import iso_utc
from ferstream.events.payload import schema_of
from ferstream.events.schemas import NODE

_to_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeState:
    """The state of a node at one moment.

    Attributes:
        node: Its name.
        version: Version of ferstream.
        model: Name and version of the classifier.
        backend: What it runs on.
        started_ns: UTC in nanoseconds since the epoch at which the daemon started.
        cameras: Cameras of the settings.
        cameras_online: Cameras that deliver frames.
        fps: Frames of all cameras whose events were published, per second, since the state before.
        outbox_events: Events that wait for a sink.
        outbox_problem: Why the outbox does not work as it should; empty when it does.
        overloaded: Whether the cameras ask for more than the node can analyse.
    """

    node: str
    version: str
    model: str
    backend: str
    started_ns: int
    cameras: int
    cameras_online: int
    fps: float
    outbox_events: int
    outbox_problem: str
    overloaded: bool


class NodePayload(BaseModel):
    """The state of a node; see ``NodeState``."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    schema_: Literal["ferstream.node/1"] = Field(alias="schema")
    node: str
    """The machine that runs ferstream."""
    version: str
    """Version of ferstream."""
    model: str
    """Name and version of the classifier."""
    backend: str
    """What the classifier runs on."""
    started_at: AwareDatetime
    """When the daemon started: UTC, milliseconds."""
    cameras: Annotated[int, Field(ge=0)]
    """Cameras of the settings."""
    cameras_online: Annotated[int, Field(ge=0)]
    """Cameras that deliver frames."""
    fps: Annotated[float, Field(ge=0)]
    """Frames of all cameras whose events were published, per second, measured lately."""
    outbox_events: Annotated[int, Field(ge=0)]
    """Events that wait for a sink."""
    outbox_problem: str
    """Why the outbox does not work as it should, one line for people; empty when it does."""
    overloaded: bool
    """Whether the cameras ask for more frames than the node can analyse."""


def node_schema() -> dict[str, Any]:
    """Return the JSON Schema of the payload, as it is kept in docs/schema/."""
    return schema_of(NodePayload, NODE)


def encode_node(state: NodeState) -> bytes:
    """Return the payload of a state."""
    value = {
        "schema": NODE,
        "node": state.node,
        "version": state.version,
        "model": state.model,
        "backend": state.backend,
        "started_at": iso_utc(state.started_ns),
        "cameras": state.cameras,
        "cameras_online": state.cameras_online,
        "fps": round(float(state.fps), 1),
        "outbox_events": state.outbox_events,
        "outbox_problem": state.outbox_problem,
        "overloaded": state.overloaded,
    }
    return _to_json(value).encode()
