"""Makes values of the domain with defaults, so that a test names only the fields it is about."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ferstream.domain.emotion import LABELS, Abstained, Emotion, Verdict
from ferstream.domain.event import CameraState, CameraStatus, FaceEvent, LabelledFrame, TrackChange, TrackEvent
from ferstream.domain.face import Box, DetectedFrame, Face, FaceCrop
from ferstream.domain.frame import Frame, FrameInfo, Luma
from ferstream.domain.track import Track, TrackedFace, TrackedFrame, TrackState
from ferstream.events.node import NodeState

FRAME_NS = 40_000_000
"""Nanoseconds between two frames at 25 frames per second."""
UTC_NS = 1_764_000_000_000_000_000
_PLANE: npt.NDArray[np.uint8] = np.full((48, 64), 128, np.uint8)
_SMALL: npt.NDArray[np.uint8] = np.full((32, 32, 3), 128, np.uint8)


def frame_info(index: int = 0, *, camera: str = "door", live: bool = False, captured_ns: int = 0) -> FrameInfo:
    """A 64x48 frame at 25 fps."""
    media_ns = index * FRAME_NS
    return FrameInfo(
        camera=camera,
        index=index,
        media_time_ns=media_ns,
        captured_ns=captured_ns,
        captured_at_ns=UTC_NS + media_ns,
        width=64,
        height=48,
        live=live,
    )


def frame(index: int = 0, *, camera: str = "door", live: bool = False, captured_ns: int = 0) -> Frame:
    """A grey picture; all frames share their pixels, which are not modified."""
    info = frame_info(index, camera=camera, live=live, captured_ns=captured_ns)
    return Frame(info=info, luma=Luma(_PLANE, limited=False), detection_image=_SMALL)


def face(*, x: float = 8.0, y: float = 8.0, side: float = 32.0, score: float = 0.9) -> Face:
    """A frontal face in a square box."""
    points = ((0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8))
    first, second, third, fourth, fifth = ((x + side * px, y + side * py) for px, py in points)
    return Face(box=Box(x, y, side, side), score=score, landmarks=(first, second, third, fourth, fifth))


def face_crop(*, grey: int | None = 100, x: float = 8.0, abstained: Abstained | None = None) -> FaceCrop:
    """A face with a crop of one grey level, which decides the label of ``ScriptedClassifier``; None for no crop."""
    if grey is None:
        return FaceCrop(face=face(x=x), crop=None, abstained=abstained or Abstained.SMALL)
    return FaceCrop(face=face(x=x), crop=np.full((48, 48), grey, np.uint8), abstained=abstained)


def detected_frame(
    index: int = 0, *, greys: tuple[int | None, ...] = (100,), camera: str = "door", live: bool = False, captured_ns: int = 0
) -> DetectedFrame:
    """A frame with one face per grey level."""
    info = frame_info(index, camera=camera, live=live, captured_ns=captured_ns)
    faces = tuple(face_crop(grey=grey, x=8.0 * position) for position, grey in enumerate(greys))
    return DetectedFrame(info=info, faces=faces)


def track(number: int = 1, *, camera: str = "door", state: TrackState = TrackState.PRESENT, age_ns: int = 0) -> Track:
    """A track of a camera."""
    return Track(id=f"{camera}-run-{number}", state=state, age_ns=age_ns)


def tracked_frame(
    index: int = 0,
    *,
    greys: tuple[int | None, ...] = (100,),
    camera: str = "door",
    ended: tuple[Track, ...] = (),
    end_of_stream: bool = False,
    live: bool = False,
    captured_ns: int = 0,
) -> TrackedFrame:
    """A frame whose n-th face has track n, from 1."""
    detected = detected_frame(index, greys=greys, camera=camera, live=live, captured_ns=captured_ns)
    faces = tuple(TrackedFace(track(number, camera=camera), crop) for number, crop in enumerate(detected.faces, 1))
    return TrackedFrame(info=detected.info, faces=faces, ended=ended, end_of_stream=end_of_stream)


def verdict(label: str = "happy", confidence: float = 0.9) -> Verdict:
    """A label with its probability."""
    return Verdict(label, confidence)


def emotion(label: str = "happy", confidence: float = 0.9) -> Emotion:
    """An expression; the other labels share the rest of the probability. ``unknown`` has no probabilities."""
    if label not in LABELS:
        return Emotion(verdict(label, 0.0), verdict(label, 0.0), None, Abstained.SMALL)
    rest = (1.0 - confidence) / (len(LABELS) - 1)
    probabilities = tuple(confidence if name == label else rest for name in LABELS)
    return Emotion(verdict(label, confidence), verdict(label, confidence), probabilities)


def face_event(
    index: int = 0,
    *,
    camera: str = "door",
    number: int = 1,
    state: TrackState = TrackState.PRESENT,
    label: str = "happy",
    live: bool = False,
    captured_ns: int = 0,
) -> FaceEvent:
    """A face event of a track."""
    info = frame_info(index, camera=camera, live=live, captured_ns=captured_ns)
    return FaceEvent(info=info, track=track(number, camera=camera, state=state), face=face(), emotion=emotion(label))


def track_event(
    index: int = 0, *, camera: str = "door", number: int = 1, change: TrackChange = TrackChange.APPEARED, label: str = "happy"
) -> TrackEvent:
    """A track event."""
    state = TrackState.LEFT if change is TrackChange.LEFT else TrackState.PRESENT
    return TrackEvent(
        info=frame_info(index, camera=camera),
        track=track(number, camera=camera, state=state),
        change=change,
        smoothed=verdict(label),
        previous_label=None,
        dwell_ns=0,
        shares={label: 1.0},
    )


def labelled_frame(
    index: int = 0,
    *,
    camera: str = "door",
    labels: tuple[str, ...] = ("happy",),
    changes: tuple[TrackEvent, ...] = (),
    end_of_stream: bool = False,
    live: bool = False,
    captured_ns: int = 0,
) -> LabelledFrame:
    """A frame whose n-th face has track n, from 1."""
    info = frame_info(index, camera=camera, live=live, captured_ns=captured_ns)
    faces = tuple(
        face_event(index, camera=camera, number=number, label=label, live=live, captured_ns=captured_ns)
        for number, label in enumerate(labels, 1)
    )
    return LabelledFrame(info=info, faces=faces, changes=changes, end_of_stream=end_of_stream)


def camera_state(status: CameraStatus = CameraStatus.ONLINE, *, camera: str = "door", reason: str = "") -> CameraState:
    """The state of a camera."""
    return CameraState(camera=camera, status=status, reason=reason, since_ns=UTC_NS)


def node_state(**changes: Any) -> NodeState:
    """The state of a node."""
    values: dict[str, Any] = {
        "node": "edge-1",
        "version": "1.2.3",
        "model": "emotion-edge/1.1.0",
        "backend": "openvino:CPU",
        "started_ns": 1_763_757_095_125_000_000,
        "cameras": 3,
        "cameras_online": 2,
        "fps": 24.94,
        "outbox_events": 7,
        "outbox_problem": "",
        "overloaded": False,
    }
    return NodeState(**values | changes)
