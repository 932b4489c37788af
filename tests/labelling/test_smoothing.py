"""Labels of faces and tracks, smoothed over media time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.domain.emotion import LABELS, UNKNOWN, Abstained, Verdict
from ferstream.domain.event import LabelledFrame, TrackChange, TrackEvent
from ferstream.domain.face import Box, Face, FaceCrop
from ferstream.domain.frame import FrameInfo
from ferstream.domain.track import Track, TrackedFace, TrackedFrame, TrackState
from ferstream.labelling.evidence import EvidenceLimits
from ferstream.labelling.smoothing import SmoothingLabeller

MS = 1_000_000
Probabilities = tuple[float, ...]


def certain(label: str, share: float = 1.0) -> Probabilities:
    rest = (1 - share) / (len(LABELS) - 1)
    return tuple(share if name == label else rest for name in LABELS)


UNSMOOTHED = EvidenceLimits(smoothing_s=0)


def frame(
    at_ms: float,
    *tracks: str,
    ended: Sequence[str] = (),
    abstained: Abstained | None = None,
    born_ms: float = 0,
    cut: bool = False,
    jumped: str = "",
) -> TrackedFrame:
    info = FrameInfo("door", round(at_ms / 40), round(at_ms * MS), 0, 0, 640, 480, live=False)
    age = round((at_ms - born_ms) * MS)
    state = TrackState.PRESENT if age else TrackState.APPEARED
    face = Face(Box(at_ms, 1, 40, 50), score=0.9, landmarks=((0.0, 0.0),) * 5)
    faces = tuple(TrackedFace(Track(name, state, age), FaceCrop(face, None, abstained), jumped=name == jumped) for name in tracks)
    return TrackedFrame(info, faces, tuple(Track(name, TrackState.LEFT, age) for name in ended), cut=cut)


def only(labelled: LabelledFrame) -> Verdict:
    (event,) = labelled.faces
    return event.emotion.smoothed


def test_the_first_frame_of_a_track_is_its_average() -> None:
    labelled = SmoothingLabeller().label(frame(0, "a"), [certain("happy", 0.8)])
    (event,) = labelled.faces
    (change,) = labelled.changes
    assert event.emotion.verdict == Verdict("happy", 0.8)
    assert event.emotion.smoothed == Verdict("happy", 0.8)
    assert event.emotion.probabilities == certain("happy", 0.8)
    assert event.emotion.abstained is None
    assert (change.change, change.smoothed, change.previous_label) == (TrackChange.APPEARED, Verdict("happy", 0.8), None)
    assert (change.dwell_ns, change.shares) == (0, {"happy": 1.0})


def test_the_confidence_is_an_average_over_media_time() -> None:
    labeller = SmoothingLabeller()
    labeller.label(frame(0, "a"), [certain("happy", 1.0)])
    smoothed = only(labeller.label(frame(200, "a"), [certain("happy", 0.5)]))
    assert smoothed.label == "happy"
    assert smoothed.confidence == pytest.approx(1 - 0.5 * (1 - math.exp(-1)))


@given(st.integers(1, 20))
def test_the_confidence_does_not_depend_on_the_frame_rate(parts: int) -> None:
    once, often = SmoothingLabeller(), SmoothingLabeller()
    for labeller in (once, often):
        labeller.label(frame(0, "a"), [certain("happy")])
    wanted = only(once.label(frame(400, "a"), [certain("happy", 0.6)]))
    for part in range(1, parts + 1):
        smoothed = only(often.label(frame(400 * part / parts, "a"), [certain("happy", 0.6)]))
    assert smoothed.label == wanted.label
    assert smoothed.confidence == pytest.approx(wanted.confidence, abs=1e-6)


def test_one_different_frame_changes_the_face_but_not_the_track() -> None:
    labeller = SmoothingLabeller()
    for n in range(10):
        labeller.label(frame(40 * n, "a"), [certain("happy", 0.9)])
    labelled = labeller.label(frame(400, "a"), [certain("angry", 0.9)])
    assert labelled.faces[0].emotion.verdict.label == "angry"
    assert only(labelled).label == "happy"
    assert labelled.changes == ()


def test_a_lasting_change_is_one_event() -> None:
    labeller = SmoothingLabeller()
    changes: list[TrackEvent] = []
    for n in range(60):
        labelled = labeller.label(frame(40 * n, "a"), [certain("happy" if n < 20 else "sad", 0.9)])
        changes.extend(labelled.changes)
    assert [(change.change, change.smoothed.label, change.previous_label) for change in changes] == [
        (TrackChange.APPEARED, "happy", None),
        (TrackChange.CHANGED, "sad", "happy"),
    ]


def test_smoothing_can_be_turned_off() -> None:
    labeller = SmoothingLabeller(limits=UNSMOOTHED)
    for n, label in enumerate(("happy", "sad", "happy")):
        assert only(labeller.label(frame(40 * n, "a"), [certain(label, 0.6)])) == Verdict(label, 0.6)


def test_the_first_of_equally_probable_labels_is_taken() -> None:
    labelled = SmoothingLabeller().label(frame(0, "a"), [(1 / 7,) * 7])
    assert labelled.faces[0].emotion.verdict.label == LABELS[0]


@pytest.mark.parametrize("reason", [Abstained.SMALL, Abstained.BLURRED, Abstained.TURNED])
def test_an_abstained_face_is_unknown_but_keeps_its_probabilities(reason: Abstained) -> None:
    labelled = SmoothingLabeller().label(frame(0, "a", abstained=reason), [certain("happy", 0.8)])
    emotion = labelled.faces[0].emotion
    assert emotion.verdict == Verdict(UNKNOWN, 0.8)
    assert emotion.probabilities == certain("happy", 0.8)
    assert emotion.abstained is reason
    assert emotion.smoothed == Verdict(UNKNOWN, 0.0), "faces of bad quality are not averaged"


def test_a_face_that_was_not_classified_has_no_probabilities() -> None:
    emotion = SmoothingLabeller().label(frame(0, "a", abstained=Abstained.TURNED), [None]).faces[0].emotion
    assert (emotion.verdict, emotion.probabilities) == (Verdict(UNKNOWN, 0.0), None)


def test_the_smoothed_label_is_kept_for_a_while_without_classified_faces() -> None:
    labeller = SmoothingLabeller(hold_s=1.0)
    labeller.label(frame(0, "a"), [certain("happy", 0.9)])
    turned = [labeller.label(frame(100 * n, "a", abstained=Abstained.TURNED), [None]) for n in range(1, 13)]
    assert [only(labelled).label for labelled in turned] == ["happy"] * 10 + [UNKNOWN] * 2
    (change,) = [change for labelled in turned for change in labelled.changes]
    assert (change.change, change.previous_label, change.smoothed.label) == (TrackChange.CHANGED, "happy", UNKNOWN)
    again = only(labeller.label(frame(1300, "a"), [certain("sad", 0.9)]))
    assert again.label == "sad"
    assert again.confidence == pytest.approx(0.9), "the old average is forgotten"


@pytest.mark.parametrize("reason", list(Abstained))
def test_the_last_label_is_not_shown_during_64_frames_without_a_usable_face(reason: Abstained) -> None:
    labeller = SmoothingLabeller(min_confidence=0.5)
    for n in range(30):
        labeller.label(frame(n * 1000 / 30, "a"), [certain("happy", 0.9)])
    given = certain("happy", 0.4) if reason is Abstained.LOW_CONFIDENCE else None
    quality = None if reason is Abstained.LOW_CONFIDENCE else reason
    shown = [only(labeller.label(frame(n * 1000 / 30, "a", abstained=quality), [given])).label for n in range(30, 94)]
    assert shown.count("happy") <= 16, "half a second at 30 frames a second"
    assert set(shown[16:]) == {UNKNOWN}


@pytest.mark.parametrize("broken", [{"cut": True}, {"jumped": "a"}])
def test_a_cut_or_a_jump_drops_the_old_label_at_once(broken: dict[str, Any]) -> None:
    labeller = SmoothingLabeller()
    for n in range(50):
        labeller.label(frame(40 * n, "a"), [certain("happy", 0.95)])
    labelled = labeller.label(frame(2000, "a", **broken), [certain("sad", 0.6)])
    assert only(labelled) == Verdict("sad", 0.6)
    (change,) = labelled.changes
    assert (change.change, change.previous_label) == (TrackChange.CHANGED, "happy")


def test_after_a_cut_a_face_of_bad_quality_is_unknown_at_once() -> None:
    labeller = SmoothingLabeller()
    labeller.label(frame(0, "a"), [certain("happy", 0.95)])
    assert only(labeller.label(frame(40, "a", cut=True, abstained=Abstained.TURNED), [None])).label == UNKNOWN


def test_a_jump_of_one_track_leaves_the_others_their_labels() -> None:
    labeller = SmoothingLabeller()
    for n in range(20):
        labeller.label(frame(40 * n, "a", "b"), [certain("happy", 0.9)] * 2)
    labelled = labeller.label(frame(800, "a", "b", jumped="a"), [certain("sad", 0.9)] * 2)
    assert [event.emotion.smoothed.label for event in labelled.faces] == ["sad", "happy"]


def test_low_confidence_is_unknown_for_the_face_and_for_the_track() -> None:
    labeller = SmoothingLabeller(min_confidence=0.5)
    emotion = labeller.label(frame(0, "a"), [certain("happy", 0.4)]).faces[0].emotion
    assert emotion.verdict == Verdict(UNKNOWN, 0.4)
    assert emotion.abstained is Abstained.LOW_CONFIDENCE
    assert emotion.smoothed == Verdict(UNKNOWN, 0.4)
    assert emotion.probabilities == certain("happy", 0.4)
    assert labeller.label(frame(0, "b"), [certain("happy", 0.5)]).faces[0].emotion.verdict == Verdict("happy", 0.5)


def test_the_end_of_a_track_repeats_its_last_face_and_has_its_shares() -> None:
    labeller = SmoothingLabeller(limits=UNSMOOTHED)
    for n, label in enumerate(("happy", "happy", "happy", "sad")):
        labelled = labeller.label(frame(40 * n, "a"), [certain(label, 0.9)])
    last = labelled.faces[0]
    gone = labeller.label(frame(2000, "b", ended=["a"], born_ms=1880), [certain("fear", 0.9)])
    assert [event.track.id for event in gone.faces] == ["b", "a"], "faces of ended tracks come last"
    event, change = gone.faces[1], gone.changes[1]
    assert (event.face, event.emotion) == (last.face, last.emotion)
    assert (event.track.state, event.info) == (TrackState.LEFT, gone.info)
    assert (change.change, change.smoothed, change.dwell_ns) == (TrackChange.LEFT, Verdict("sad", 0.9), 120 * MS)
    assert change.shares == {"happy": 0.75, "sad": 0.25}


def test_a_track_without_labels_is_unknown_at_its_end() -> None:
    labeller = SmoothingLabeller()
    for n in range(5):
        labeller.label(frame(40 * n, "a", abstained=Abstained.TURNED), [None])
    (change,) = labeller.label(frame(400, ended=["a"]), []).changes
    assert change.smoothed.label == UNKNOWN
    assert change.shares == {UNKNOWN: 1.0}


def test_tracks_have_separate_averages_that_end_with_them() -> None:
    labeller = SmoothingLabeller()
    for n in range(20):
        labeller.label(frame(40 * n, "a", "b"), [certain("happy", 0.9), certain("sad", 0.9)])
    labelled = labeller.label(frame(800, "a", "b"), [certain("happy", 0.9), certain("sad", 0.9)])
    assert [event.emotion.smoothed.label for event in labelled.faces] == ["happy", "sad"]
    assert labeller.tracks == 2
    labeller.label(frame(840, ended=["a", "b"]), [])
    assert labeller.tracks == 0


def test_the_end_of_a_track_without_faces_is_ignored() -> None:
    labelled = SmoothingLabeller().label(frame(0, ended=["never-seen"]), [])
    assert labelled.faces == () and labelled.changes == ()


@pytest.mark.parametrize("probabilities", [[], [certain("happy")] * 2])
def test_another_number_of_entries_than_faces_is_an_error(probabilities: list[Probabilities]) -> None:
    with pytest.raises(ValueError, match="probabilities of 1 faces"):
        SmoothingLabeller().label(frame(0, "a"), probabilities)


def test_another_number_of_values_than_labels_is_an_error() -> None:
    with pytest.raises(ValueError, match="expected 7 probabilities, got 3"):
        SmoothingLabeller().label(frame(0, "a"), [(0.2, 0.3, 0.5)])


@pytest.mark.parametrize(
    "wrong",
    [
        {"limits": EvidenceLimits(smoothing_s=-1)},
        {"min_confidence": 1.1},
        {"limits": EvidenceLimits(switch_margin=-0.1)},
        {"hold_s": -1},
    ],
)
def test_values_outside_their_range_are_an_error(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        SmoothingLabeller(**wrong)


_rows = st.lists(st.floats(0.01, 1), min_size=7, max_size=7).map(lambda row: tuple(value / sum(row) for value in row))


@given(st.lists(st.tuples(st.integers(1, 500), _rows, st.sampled_from([None, Abstained.TURNED])), min_size=1, max_size=30))
def test_labels_and_shares_are_always_valid(steps: list[tuple[int, Probabilities, Abstained | None]]) -> None:
    labeller, at = SmoothingLabeller(min_confidence=0.2), 0
    for step, row, abstained in steps:
        labelled = labeller.label(frame(at, "a", abstained=abstained), [row])
        at += step
        assert 0 <= only(labelled).confidence <= 1 + 1e-9
        assert only(labelled).label in (*LABELS, UNKNOWN)
    (change,) = labeller.label(frame(at, ended=["a"]), []).changes
    assert sum(change.shares.values()) == pytest.approx(1)
    assert list(change.shares) == [label for label in (*LABELS, UNKNOWN) if label in change.shares], "in the order of LABELS"
