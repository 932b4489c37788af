"""Events and tracks as the shipped tracker and labeller make them: the invariants that their docstrings promise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.domain.emotion import LABELS, UNKNOWN
from ferstream.domain.event import CameraStatus, LabelledFrame, TrackChange
from ferstream.domain.face import Box, DetectedFrame, Face, FaceCrop
from ferstream.domain.frame import FrameInfo
from ferstream.domain.track import TrackedFrame, TrackState
from ferstream.labelling.smoothing import SmoothingLabeller
from ferstream.tracking.bytetrack import ByteTracker

STEP_NS = 100_000_000

rows = st.lists(st.floats(0.01, 1), min_size=7, max_size=7).map(lambda row: [value / sum(row) for value in row])
faces_of_a_frame = st.lists(st.tuples(st.sampled_from([0, 200, 400]), st.none() | rows), max_size=3, unique_by=lambda face: face[0])
scenes = st.lists(faces_of_a_frame, max_size=20)
"""Frames of faces at one of three places, with their probabilities or None."""
Scene = list[list[tuple[int, list[float] | None]]]


def play(scene: Scene) -> list[tuple[TrackedFrame, LabelledFrame]]:
    """Track and label a scene, and end its tracks."""
    tracker, labeller = ByteTracker(camera="door", run="x", lifespan_s=0.25), SmoothingLabeller(min_confidence=0.2)
    played: list[tuple[TrackedFrame, LabelledFrame]] = []
    for index, faces in enumerate(scene):
        info = FrameInfo("door", index, index * STEP_NS, 0, 0, 640, 480, live=False)
        crops = tuple(FaceCrop(Face(Box(x, 100, 60, 60), 0.9, ((0.0, 0.0),) * 5), None) for x, _ in faces)
        tracked = tracker.update(DetectedFrame(info, crops))
        played.append((tracked, labeller.label(tracked, [row for _, row in faces])))
    last = tracker.finish()
    return [*played, (last, labeller.label(last, []))] if last is not None else played


@given(scenes)
def test_a_frame_has_one_face_event_per_face_and_ended_track(scene: Scene) -> None:
    for tracked, labelled in play(scene):
        assert [event.track for event in labelled.faces] == [face.track for face in tracked.faces] + list(tracked.ended)
        assert all(event.info == labelled.info == tracked.info for event in labelled.faces)
        assert {event.track.state is TrackState.LEFT for event in labelled.faces[len(tracked.faces) :]} <= {True}


@given(scenes)
def test_each_track_appears_once_changes_and_leaves_once(scene: Scene) -> None:
    changes: dict[str, list[TrackChange]] = {}
    for _, labelled in play(scene):
        for event in labelled.changes:
            changes.setdefault(event.track.id, []).append(event.change)
    for of_track in changes.values():
        assert of_track[0] is TrackChange.APPEARED
        assert of_track[-1] is TrackChange.LEFT
        assert set(of_track[1:-1]) <= {TrackChange.CHANGED}


@given(scenes)
def test_shares_dwell_and_previous_labels(scene: Scene) -> None:
    for _, labelled in play(scene):
        for event in labelled.changes:
            assert sum(event.shares.values()) == pytest.approx(1)
            assert all(label in (*LABELS, UNKNOWN) and 0 < share <= 1 for label, share in event.shares.items())
            assert event.dwell_ns == event.track.age_ns >= 0
            assert (event.previous_label is not None) == (event.change is TrackChange.CHANGED)
            assert event.previous_label != event.smoothed.label


@given(scenes)
def test_labels_confidences_and_probabilities(scene: Scene) -> None:
    for _, labelled in play(scene):
        for event in labelled.faces:
            for verdict in (event.emotion.verdict, event.emotion.smoothed):
                assert verdict.label in (*LABELS, UNKNOWN)
                assert 0 <= verdict.confidence <= 1 + 1e-9
            row = event.emotion.probabilities
            if row is None:
                assert event.emotion.verdict.label == UNKNOWN
            else:
                assert len(row) == len(LABELS)
                assert sum(row) == pytest.approx(1)
                assert event.emotion.verdict.confidence == max(row)
                assert (event.emotion.verdict.label == UNKNOWN) == (event.emotion.abstained is not None)


@given(scenes)
def test_ages_are_media_time_since_the_first_frame(scene: Scene) -> None:
    born: dict[str, int] = {}
    for tracked, _ in play(scene):
        for face in tracked.faces:
            now_ns = tracked.info.media_time_ns
            assert (face.track.state is TrackState.APPEARED) == (face.track.id not in born)
            assert face.track.age_ns == now_ns - born.setdefault(face.track.id, now_ns)


def test_changes_and_states_of_tracks_share_their_texts() -> None:
    assert TrackChange.APPEARED.value == TrackState.APPEARED.value
    assert TrackChange.LEFT.value == TrackState.LEFT.value


def test_states_of_a_camera() -> None:
    assert [str(status) for status in CameraStatus] == ["connecting", "online", "stalled", "reconnecting", "offline", "disabled"]
