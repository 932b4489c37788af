"""Tracks: the same face in consecutive frames."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ferstream.domain.face import FaceCrop
from ferstream.domain.frame import FrameInfo


class TrackState(StrEnum):
    """State of a track in one frame."""

    APPEARED = "appeared"
    """Its first frame."""
    PRESENT = "present"
    """A later frame."""
    LEFT = "left"
    """It ended at this frame."""


@dataclass(frozen=True, slots=True)
class Track:
    """Identity of a face within one connection of a camera; it says nothing about who the person is.

    Attributes:
        id: ``<camera>-<run>-<n>``; ``run`` is random on live cameras and fixed in a replay.
        state: State in this frame.
        age_ns: Media time in nanoseconds from its first frame to the last frame with the face.
    """

    id: str
    state: TrackState
    age_ns: int


@dataclass(frozen=True, slots=True)
class TrackedFace:
    """A face of a frame and its track.

    Attributes:
        track: The track.
        face: The face.
        jumped: Whether the face is too far from where the track was, or too different in size, to be surely the same face.
    """

    track: Track
    face: FaceCrop
    jumped: bool = False


@dataclass(frozen=True, slots=True)
class TrackedFrame:
    """The faces of one frame with their tracks.

    Attributes:
        info: Identity and times of the frame.
        faces: The faces by descending score.
        ended: Tracks that ended at this frame.
        cut: Whether the picture shows another scene than the frame before.
        end_of_stream: True for the item that follows the last frame of a source: it repeats the ``info`` of that frame, has no
            faces, ends all tracks and is not counted as a frame.
    """

    info: FrameInfo
    faces: tuple[TrackedFace, ...]
    ended: tuple[Track, ...] = ()
    cut: bool = False
    end_of_stream: bool = False
