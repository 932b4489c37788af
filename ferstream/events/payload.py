"""The wire format, schema version 1: what subscribers and readers of JSON lines may rely on.

These models are the contract: the JSON Schema under docs/schema/ is generated from them, and readers validate with
them. Publishing does not use them, because ``encode.py`` makes the same bytes several times faster; property
tests compare the two.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from ferstream.domain.emotion import LABELS, UNKNOWN, Abstained
from ferstream.domain.event import CameraStatus, TrackChange
from ferstream.domain.track import TrackState
from ferstream.events.schemas import FACE, STATE, SUMMARY, TRACK

Label = Literal["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral", "unknown"]
Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0)]
PixelPoint = tuple[float, float]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class FramePart(_Part):
    """The frame an event belongs to."""

    index: Annotated[int, Field(ge=0)]
    """Number of the frame in its source, from 0; frames that were not analysed count too."""
    media_time_s: Seconds
    """Media time since the start of the source, in seconds."""
    width: Annotated[int, Field(gt=0)]
    """Width of the picture, turned as displayed, in stored pixels: those that are not square are not stretched."""
    height: Annotated[int, Field(gt=0)]
    """Height of the picture, turned as displayed, in stored pixels."""


class TrackPart(_Part):
    """The face's identity in this run: opaque, never a person."""

    id: str
    """Opaque id, unique in this run."""
    state: TrackState
    """appeared, present or left."""
    age_s: Seconds
    """Media time since the face appeared, in seconds."""


class FacePart(_Part):
    """Where the face is, in stored pixels of the frame, turned as displayed."""

    box: tuple[float, float, Seconds, Seconds]
    """Left, top, width, height in pixels."""
    score: Share
    """Confidence of the detector."""
    landmarks: tuple[PixelPoint, PixelPoint, PixelPoint, PixelPoint, PixelPoint]
    """Right eye, left eye, nose tip, right and left corner of the mouth (the subject's right and left)."""


class VerdictPart(_Part):
    """A label with its probability."""

    label: Label
    """What the face resembles, or unknown."""
    confidence: Share
    """Probability of the label; for unknown the best class's probability, or 0."""


class ProbabilitiesPart(_Part):
    """One probability per expression; they sum to 1 up to rounding."""

    angry: Share
    disgust: Share
    fear: Share
    happy: Share
    sad: Share
    surprise: Share
    neutral: Share


class EmotionPart(VerdictPart):
    """The expression that the face resembles in this frame, and over the recent life of its track."""

    probabilities: ProbabilitiesPart | None
    """Null when the face was never classified."""
    smoothed: VerdictPart
    """Verdict over the recent life of the track."""
    abstained: Abstained | SkipJsonSchema[None] = None
    """Why the label is unknown; absent otherwise."""


class LatencyPart(_Part):
    """Delays inside ferstream, in milliseconds."""

    capture_to_publish: float
    """From the decoded frame to the hand-over to the outbox."""


class ModelPart(_Part):
    """The classifier of the event."""

    name: str
    version: str


class _Payload(_Part):
    node: str
    """The machine that runs ferstream."""
    camera: str
    """Name of the camera."""
    boot_id: str
    """Random for each start of ferstream; ``replay`` for a recording without a broker."""
    seq: Annotated[int, Field(ge=0)]
    """Counts from 0 per boot_id, camera and schema: a step other than 1 is a gap or a double."""
    source: str | SkipJsonSchema[None] = None
    """Name of the file, without its folders, for a recording of ``ferstream replay``; absent otherwise."""


class FacePayload(_Payload):
    """One face in one frame."""

    schema_: Literal["ferstream.face/1"] = Field(alias="schema")
    captured_at: AwareDatetime
    """When the frame was captured: UTC, milliseconds. For a recording: its start (``--start``, else the creation time in the file, else
    1970-01-01T00:00:00Z) plus the media time."""
    frame: FramePart
    track: TrackPart
    face: FacePart
    emotion: EmotionPart
    latency_ms: LatencyPart | SkipJsonSchema[None] = None
    """Live cameras only."""
    model: ModelPart


class TrackPayload(_Payload):
    """A track appeared, changed its smoothed label, or left."""

    schema_: Literal["ferstream.track/1"] = Field(alias="schema")
    captured_at: AwareDatetime
    """When the frame was captured: UTC, milliseconds. For a recording: its start (``--start``, else the creation time in the file, else
    1970-01-01T00:00:00Z) plus the media time."""
    frame: FramePart
    track: TrackPart
    change: TrackChange
    """appeared, changed (the smoothed label is another than before) or left."""
    smoothed: VerdictPart
    """Verdict over the recent life of the track; for left, the last one."""
    previous_label: Label | None
    """Smoothed label before a change, else null."""
    dwell_s: Seconds
    """Media time from the appearance to the last observation, in seconds."""
    shares: dict[Label, Share]
    """Share of the observations per smoothed label; labels never seen are absent."""
    model: ModelPart


class SummaryPayload(_Payload):
    """Counts of one camera over an interval."""

    schema_: Literal["ferstream.summary/1"] = Field(alias="schema")
    at: AwareDatetime
    """End of the interval: UTC, milliseconds."""
    interval_s: Seconds
    """Length of the interval in seconds."""
    counts: dict[Label, Annotated[int, Field(ge=0)]]
    """Observations per label; every label is present."""
    faces_now: Annotated[int, Field(ge=0)]
    """Faces in view at the end of the interval."""
    dominant: Label | None = None
    """Label with the most observations; of equal ones the first in the order of ``probabilities``, then unknown. Null when no
    face was seen; absent in messages of versions before this key."""


class StatePayload(_Payload):
    """A camera's present state."""

    schema_: Literal["ferstream.state/1"] = Field(alias="schema")
    status: CameraStatus
    """connecting, online, stalled, reconnecting, offline or disabled."""
    reason: str
    """One line for people; empty when online."""
    since: AwareDatetime
    """When this status began: UTC, milliseconds."""
    fps: Annotated[float, Field(ge=0)]
    """Frames captured per second, measured lately; 0 unless online."""
    availability: str | SkipJsonSchema[None] = None
    """MQTT topic of the node: this state counts only while that topic holds ``online``. Absent without a broker."""


Payload = FacePayload | TrackPayload | SummaryPayload | StatePayload

MODELS: dict[str, type[Payload]] = {
    FACE: FacePayload,
    TRACK: TrackPayload,
    SUMMARY: SummaryPayload,
    STATE: StatePayload,
}
"""The model of each schema id."""

ALL_LABELS: tuple[str, ...] = (*LABELS, UNKNOWN)


def parse(text: bytes | str) -> Payload:
    """Validate one message of any schema.

    Raises:
        ValueError: It is not JSON, has no known ``schema`` or does not match it.
    """
    try:
        value: Any = json.loads(text)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    name = value.get("schema") if isinstance(value, dict) else None
    if name not in MODELS:
        raise ValueError(f"schema is {name!r}, expected one of {', '.join(MODELS)}")
    return MODELS[name].model_validate_json(text)


def json_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of one schema id, as it is kept in docs/schema/."""
    return schema_of(MODELS[name], name)


def schema_of(model: type[BaseModel], name: str) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a payload.

    Args:
        model: The payload.
        name: Its schema id.
    """
    short, version = name.removeprefix("ferstream.").split("/")
    schema = model.model_json_schema(by_alias=True, mode="validation")
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:ferstream:{short}:{version}",
    }
    schema["title"] = name
    for part in (schema, *schema.get("$defs", {}).values()):
        for field in part.get("properties", {}).values():
            if field.get("default", ...) is None:  # such a key may be absent
                del field["default"]
    return head | schema
