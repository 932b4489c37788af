"""The life of a face through consecutive frames."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ferstream.domain.face import FaceCrop
from ferstream.domain.frame import FrameInfo


class TrackState(StrEnum):
    """Where a track stands in its life."""

    APPEARED = "appeared"
    PRESENT = "present"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class Track:
    """A face's identity in this run: an opaque id, never a person.

    Attributes:
        id: ``<camera>-<run>-<n>``; ``run`` is random on live cameras and fixed in a replay.
        state: Where it stands.
        age_ns: Media time since it appeared.
    """

    id: str
    state: TrackState
    age_ns: int


@dataclass(frozen=True, slots=True)
class TrackedFace:
    """A face of this frame and the track it belongs to."""

    track: Track
    face: FaceCrop


@dataclass(frozen=True, slots=True)
class TrackedFrame:
    """All faces of one frame with their tracks, and the tracks that ended at this frame.

    ``end_of_stream`` marks what follows a source's last frame: it ends tracks and is no frame of its own.
    """

    info: FrameInfo
    faces: tuple[TrackedFace, ...]
    ended: tuple[Track, ...] = ()
    end_of_stream: bool = False
