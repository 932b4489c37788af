"""Events that the pipeline publishes: faces, changes of tracks, summaries and states of cameras."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from ferstream.domain.emotion import LABELS, UNKNOWN, Emotion, Verdict
from ferstream.domain.face import Face
from ferstream.domain.frame import FrameInfo
from ferstream.domain.track import Track


@dataclass(frozen=True, slots=True)
class FaceEvent:
    """One face in one frame.

    When ``track.state`` is ``LEFT``, the face is the last one of the track, repeated in the frame at which the track ended.
    """

    info: FrameInfo
    track: Track
    face: Face
    emotion: Emotion


class TrackChange(StrEnum):
    """Kind of a track event."""

    APPEARED = "appeared"
    """The first frame with the face."""
    CHANGED = "changed"
    """The smoothed label is another one."""
    LEFT = "left"
    """The track ended."""


@dataclass(frozen=True, slots=True)
class TrackEvent:
    """The start or end of a track, or a change of its smoothed label.

    Attributes:
        info: Frame at which the change happened.
        track: The track.
        change: Which change.
        smoothed: Smoothed label after the change; for ``LEFT``, the last one.
        previous_label: Smoothed label before the change; None unless ``change`` is ``CHANGED``.
        dwell_ns: Media time in nanoseconds from the first to the last frame with the face.
        shares: Share of the track's frames per smoothed label (``unknown`` included), 0..1, summing to 1;
            labels that did not occur are absent.
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
    """Input of the publishing stage: all events of one frame.

    Attributes:
        info: Identity and times of the frame.
        faces: Face events: the faces of the frame by descending score, then the faces of tracks that ended.
        changes: Track events of the frame, in the order of ``faces``.
        end_of_stream: The frame only ends tracks and is not counted; see ``TrackedFrame``.
    """

    info: FrameInfo
    faces: tuple[FaceEvent, ...]
    changes: tuple[TrackEvent, ...]
    end_of_stream: bool = False


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts of one camera over an interval.

    Attributes:
        camera: Name of the camera.
        at_ns: UTC in nanoseconds since the epoch at the end of the interval.
        interval_s: Length of the interval in seconds.
        counts: Face events per label in the interval (``unknown`` included).
        faces_now: Number of tracks alive at the end of the interval.
    """

    camera: str
    at_ns: int
    interval_s: float
    counts: Mapping[str, int]
    faces_now: int

    @property
    def dominant(self) -> str | None:
        """Label with the most observations; of equal ones the first in the order of ``LABELS``, then ``UNKNOWN``. None without a face."""
        best = max((*LABELS, UNKNOWN), key=lambda label: self.counts.get(label, 0))
        return best if self.counts.get(best, 0) else None


class CameraStatus(StrEnum):
    """State of a camera's connection; ``ferstream.capture.status`` says which changes are possible."""

    CONNECTING = "connecting"
    ONLINE = "online"
    STALLED = "stalled"
    RECONNECTING = "reconnecting"
    OFFLINE = "offline"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class CameraState:
    """State of a camera's connection.

    Attributes:
        camera: Name of the camera.
        status: The state.
        reason: Why the camera is not online: one line without secrets; empty when online.
        since_ns: UTC in nanoseconds since the epoch at which the state began.
        fps: Captured frames per second, recent average; 0 unless online.
    """

    camera: str
    status: CameraStatus
    reason: str
    since_ns: int
    fps: float = 0.0


Event = FaceEvent | TrackEvent | Summary | CameraState
"""Any event that is published."""
