"""Where faces are between the pictures that show them, and what is hidden where none was found."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ferstream.domain.emotion import Emotion, Verdict
from ferstream.domain.event import FaceEvent, LabelledFrame
from ferstream.domain.face import Box, Face
from ferstream.domain.track import Track, TrackState
from ferstream.rendering.findings import HOLD_S, STRIP_S, Detections, Findings
from tests.support.builders import FRAME_NS, face, frame_info


def labelled(index: int, *, x: float | None = 8.0, label: str = "happy", state: TrackState = TrackState.PRESENT) -> LabelledFrame:
    """A frame of 64x48 with one face of 16 pixels, or none."""
    info = frame_info(index)
    if x is None:
        return LabelledFrame(info, faces=(), changes=())
    emotion = Emotion(Verdict(label, 0.9), Verdict(label, 0.9), None)
    return LabelledFrame(info, faces=(FaceEvent(info, Track("door-1", state, 0), face(x=x, side=16.0), emotion),), changes=())


def findings(*frames: LabelledFrame) -> Findings:
    found = Findings()
    for frame in frames:
        found.add(frame)
    return found


def test_a_face_is_where_its_picture_shows_it() -> None:
    (shown,) = findings(labelled(0), labelled(1, x=24.0)).faces_at(FRAME_NS)
    assert shown.box == Box(24 / 64, 8 / 48, 16 / 64, 16 / 48)
    assert len(shown.landmarks) == 5


def test_a_face_that_is_missed_is_between_the_pictures_that_show_it() -> None:
    (shown,) = findings(labelled(0, x=8.0), labelled(1, x=None), labelled(2, x=24.0)).faces_at(FRAME_NS)
    assert shown.box.x == pytest.approx(16 / 64)
    assert shown.landmarks == ()


def test_a_face_is_gone_after_its_last_picture_and_not_there_before_its_first() -> None:
    found = findings(labelled(0, x=None), labelled(1), labelled(2, x=None), labelled(3, state=TrackState.LEFT))
    assert [len(found.faces_at(index * FRAME_NS)) for index in range(4)] == [0, 1, 0, 0]


def test_a_long_absence_is_not_bridged() -> None:
    assert findings(labelled(0), labelled(100)).faces_at(50 * FRAME_NS) == []


def test_the_strip_holds_the_labels_of_the_last_seconds() -> None:
    frames = [labelled(index, label="sad" if index < 50 else "happy") for index in range(101)]
    (shown,) = findings(*frames).faces_at(100 * FRAME_NS)
    assert shown.strip == ((4.0, 2.0, "sad"), (2.0, 0.0, "happy"))


def test_what_is_old_is_forgotten_and_the_rest_stays() -> None:
    found = findings(*(labelled(index) for index in range(1000)))
    found.forget_before(900 * FRAME_NS)
    assert len(found.faces_at(900 * FRAME_NS)) == 1
    assert found.faces_at(900 * FRAME_NS)[0].strip[0][0] == pytest.approx(STRIP_S)
    assert found.faces_at(100 * FRAME_NS) == []


# -- hiding --------------------------------------------------------------------------------------


def detections(*frames: tuple[int, tuple[Face, ...]]) -> Detections:
    found = Detections()
    for index, faces in frames:
        found.add(frame_info(index), faces)
    return found


def test_a_face_stays_hidden_while_the_detector_misses_it() -> None:
    index = int(HOLD_S * 1e9 / FRAME_NS)
    found = detections((0, (face(),)), *((number, ()) for number in range(1, 40)))
    assert len(found.places_at(index * FRAME_NS, ())) == 1
    assert found.places_at((index + 1) * FRAME_NS, ()) == []


def test_a_face_is_hidden_before_the_detector_finds_it() -> None:
    (place,) = detections((0, ()), (3, (face(),))).places_at(0, ())
    assert place.w > 32 / 64


def test_a_face_that_moves_is_hidden_where_it_is_alone() -> None:
    frames = [(index, (face(x=2.0 * index, side=16.0),)) for index in range(20)]
    assert len(detections(*frames).places_at(10 * FRAME_NS, ())) == 1


def test_a_face_known_by_its_track_is_hidden_too() -> None:
    assert detections((0, ())).places_at(0, [Box(0.1, 0.1, 0.2, 0.2)]) == [Box(0.1, 0.1, 0.2, 0.2)]


def test_another_face_nearby_does_not_hide_that_one_is_missing() -> None:
    near, far = face(x=4.0, side=12.0), face(x=44.0, side=12.0)
    found = detections((0, (near, far)), (1, (near,)))
    assert len(found.places_at(FRAME_NS, ())) == 2


def test_pictures_that_the_detector_did_not_see_are_known() -> None:
    found = detections((0, ()), (2, ()))
    assert [found.knows(index * FRAME_NS) for index in range(3)] == [True, False, True]
    found.forget_before(100 * FRAME_NS)
    assert not found.knows(0)


def test_faces_of_pictures_of_another_size_are_at_the_same_place() -> None:
    info = replace(frame_info(1), width=128, height=96)
    found = Detections()
    found.add(frame_info(0), (face(x=8.0, y=8.0, side=16.0),))
    found.add(info, (face(x=16.0, y=16.0, side=32.0),))
    assert len(found.places_at(0, ())) == 1
