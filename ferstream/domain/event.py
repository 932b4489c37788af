"""What leaves the pipeline: one face observation, the turns of a track, a camera's sums and state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from ferstream.domain.emotion import Emotion, Verdict
from ferstream.domain.face import Face
from ferstream.domain.frame import FrameInfo
from ferstream.domain.track import Track


@dataclass(frozen=True, slots=True)
class FaceEvent:
    """One face in one frame. With ``track.state == left``: the last face of the track, repeated in the frame that ended it."""

    info: FrameInfo
    track: Track
    face: Face
    emotion: Emotion


class TrackChange(StrEnum):
    """What happened to a track."""

    APPEARED = "appeared"
    CHANGED = "changed"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class TrackEvent:
    """A turn in a track's life.

    Attributes:
        info: The frame at which it happened.
        track: The track.
        change: appeared, changed (its smoothed label is another one now) or left.
        smoothed: Smoothed verdict now (for left: the last one).
        previous_label: Smoothed label before a change, else None.
        dwell_ns: Media time from appearance to the last observation.
        shares: Share of observations per smoothed label (``unknown`` included), 0..1, summing to 1; labels never seen are absent.
    """

    info: FrameInfo
    track: Track
    change: TrackChange
    smoothed: Verdict
    previous_label: str | None
    dwell_ns: int
    shares: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class LabelledFrame:
    """The last station before publishing: every observation and turn of one frame, in order.

    ``end_of_stream``: see ``TrackedFrame``.
    """

    info: FrameInfo
    faces: tuple[FaceEvent, ...]
    changes: tuple[TrackEvent, ...]
    end_of_stream: bool = False


@dataclass(frozen=True, slots=True)
class Summary:
    """A camera's sums over an interval.

    Attributes:
        camera: Name of the camera.
        at_ns: UTC in nanoseconds since the epoch at the end of the interval.
        interval_s: Length of the interval in seconds.
        counts: Observations per label in the interval (``unknown`` included).
        faces_now: Tracks alive at the end of the interval.
    """

    camera: str
    at_ns: int
    interval_s: float
    counts: Mapping[str, int]
    faces_now: int


class CameraStatus(StrEnum):
    """The state machine of a source; see capture."""

    CONNECTING = "connecting"
    ONLINE = "online"
    STALLED = "stalled"
    RECONNECTING = "reconnecting"
    OFFLINE = "offline"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class CameraState:
    """A camera's present state.

    Attributes:
        camera: Name of the camera.
        status: Present status.
        reason: One redacted line for people, empty when online.
        since_ns: UTC in nanoseconds since the epoch when this status began.
        fps: Frames captured per second of late, 0 unless online.
    """

    camera: str
    status: CameraStatus
    reason: str
    since_ns: int
    fps: float = 0.0


Event = FaceEvent | TrackEvent | Summary | CameraState
"""Everything that is published."""
