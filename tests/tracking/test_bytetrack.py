"""The tracker on ByteTrack: ids, absences and ends of tracks, in media time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest

from ferstream.domain.face import Box, DetectedFrame, Face, FaceCrop
from ferstream.domain.frame import FrameInfo
from ferstream.domain.track import TrackedFrame, TrackState
from ferstream.tracking.bytetrack import ByteTracker

MS = 1_000_000


def seen(at_ms: float, *boxes: tuple[float, float, float]) -> DetectedFrame:
    info = FrameInfo("door", round(at_ms / 40), round(at_ms * MS), 0, 0, 1920, 1080, live=False)
    points = ((0.0, 0.0),) * 5
    faces = [Face(Box(x, y, s, s), score=0.9 - number / 100, landmarks=points) for number, (x, y, s) in enumerate(boxes)]
    return DetectedFrame(info, tuple(FaceCrop(face, None) for face in faces))


def ids(frame: TrackedFrame) -> list[str]:
    return [item.track.id for item in frame.faces]


def tracker(lifespan_s: float = 1.5) -> ByteTracker:
    return ByteTracker(camera="door", run="1f3c", lifespan_s=lifespan_s)


def play(tracking: ByteTracker, frames: Iterable[DetectedFrame]) -> list[TrackedFrame]:
    return [tracking.update(frame) for frame in frames]


def test_ids_are_camera_run_and_a_number_in_the_order_of_the_faces() -> None:
    frame = tracker().update(seen(0, (500, 100, 60), (100, 100, 60)))
    assert ids(frame) == ["door-1f3c-1", "door-1f3c-2"]
    assert [item.track.state for item in frame.faces] == [TrackState.APPEARED] * 2


def test_a_still_face_keeps_its_track_and_its_age_is_media_time() -> None:
    frames = play(tracker(), (seen(40 * n, (100, 100, 60)) for n in range(50)))
    assert {tuple(ids(frame)) for frame in frames} == {("door-1f3c-1",)}
    assert frames[-1].faces[0].track.state is TrackState.PRESENT
    assert frames[-1].faces[0].track.age_ns == 49 * 40 * MS


def test_a_track_follows_a_place_whatever_the_face_there_looks_like() -> None:
    black, white = (np.full((48, 48), grey, np.uint8) for grey in (0, 255))
    following = tracker()
    for at_ms, crops in ((0, (black, white)), (40, (white, black))):
        frame = seen(at_ms, (100, 100, 60), (500, 100, 60))
        faces = tuple(replace(face, crop=crop) for face, crop in zip(frame.faces, crops, strict=True))
        assert ids(following.update(replace(frame, faces=faces))) == ["door-1f3c-1", "door-1f3c-2"]


def test_a_face_with_a_low_score_has_a_track_from_its_first_frame() -> None:
    info = FrameInfo("door", 0, 0, 0, 0, 640, 480, live=False)
    weak = Face(Box(10, 10, 40, 40), score=0.02, landmarks=((0.0, 0.0),) * 5)
    assert len(tracker().update(DetectedFrame(info, (FaceCrop(weak, None),))).faces) == 1


def test_two_faces_that_swap_their_order_by_score_keep_their_tracks() -> None:
    left, right = (100, 100, 60), (400, 100, 60)
    frames = play(tracker(), (seen(40 * n, *((left, right) if n % 2 else (right, left))) for n in range(10)))
    assert ids(frames[0]) == ["door-1f3c-1", "door-1f3c-2"]
    assert ids(frames[1]) == ["door-1f3c-2", "door-1f3c-1"]


def test_a_walk_at_five_frames_per_second_is_one_track() -> None:
    frames = play(tracker(), (seen(200 * n, (100 + 45 * n, 100, 60)) for n in range(20)))
    assert {tuple(ids(frame)) for frame in frames} == {("door-1f3c-1",)}


def test_a_covered_face_gets_its_track_back() -> None:
    following = tracker()
    play(following, (seen(40 * n, (100, 100, 60)) for n in range(25)))
    away = play(following, (seen(1000 + 40 * n) for n in range(30)))
    back = following.update(seen(2200, (110, 104, 62)))
    assert not any(frame.ended for frame in away)
    assert ids(back) == ["door-1f3c-1"]
    assert back.faces[0].track.state is TrackState.PRESENT


def test_a_face_elsewhere_is_a_new_track_while_the_first_one_is_lost() -> None:
    following = tracker()
    play(following, (seen(40 * n, (100, 100, 60)) for n in range(10)))
    play(following, (seen(400 + 40 * n) for n in range(10)))
    assert ids(following.update(seen(800, (600, 100, 60)))) == ["door-1f3c-2"]
    assert sorted(ids(following.update(seen(840, (600, 100, 60), (102, 100, 60))))) == ["door-1f3c-1", "door-1f3c-2"]


def test_a_lost_track_does_not_take_the_face_of_another_track() -> None:
    following = tracker()
    play(following, (seen(40 * n, (400, 100, 60), (100 + 12 * n, 100, 60)) for n in range(20)))
    # The first vanishes behind the second, which walks on over its place.
    passing = play(following, (seen(800 + 40 * n, (340 + 12 * n, 100, 60)) for n in range(12)))
    assert {tuple(ids(frame)) for frame in passing} == {("door-1f3c-2",)}


def test_a_track_ends_once_after_its_lifespan_also_in_frames_without_faces() -> None:
    following = tracker(lifespan_s=1.0)
    following.update(seen(0, (100, 100, 60)))
    following.update(seen(40, (100, 100, 60)))
    frames = play(following, (seen(80 + 40 * n) for n in range(60)))
    ended = [(frame.info.media_time_ns, track) for frame in frames for track in frame.ended]
    assert len(ended) == 1
    at, track = ended[0]
    assert at == 1080 * MS, "the first frame more than one second after the last one with the face (40 ms)"
    assert (track.id, track.state, track.age_ns) == ("door-1f3c-1", TrackState.LEFT, 40 * MS)
    assert following.finish() is None


def test_a_face_at_the_same_place_after_a_long_gap_is_a_new_track() -> None:
    following = tracker(lifespan_s=1.0)
    following.update(seen(0, (100, 100, 60)))
    later = following.update(seen(1001, (100, 100, 60)))
    assert [track.id for track in later.ended] == ["door-1f3c-1"]
    assert ids(later) == ["door-1f3c-2"]


def test_the_end_of_the_source_ends_tracks_in_the_order_of_their_ids() -> None:
    following = tracker()
    following.update(seen(0, (100, 100, 60), (400, 100, 60), (700, 100, 60)))
    following.update(seen(40, (700, 100, 60), (400, 100, 60)))
    last = following.finish()
    assert last is not None
    assert [track.id for track in last.ended] == ["door-1f3c-1", "door-1f3c-2", "door-1f3c-3"]
    assert last.info.media_time_ns == 40 * MS


def test_numbers_continue_after_the_end_of_a_source() -> None:
    following = tracker()
    following.update(seen(0, (100, 100, 60)))
    following.finish()
    assert ids(following.update(seen(40, (100, 100, 60)))) == ["door-1f3c-2"]


def test_ended_tracks_are_forgotten() -> None:
    following = tracker(lifespan_s=0.5)
    for n in range(300):
        following.update(seen(1000 * n, (100 + n, 100, 60)))
    assert following.tracks == 1


def resized(frame: DetectedFrame, width: int, height: int) -> DetectedFrame:
    """The same faces in a picture of another size."""
    x, y = width / frame.info.width, height / frame.info.height
    boxes = [item.face.box for item in frame.faces]
    scaled = [Box(box.x * x, box.y * y, box.w * x, box.h * y) for box in boxes]
    faces = [FaceCrop(replace(item.face, box=box), None) for item, box in zip(frame.faces, scaled, strict=True)]
    return DetectedFrame(replace(frame.info, width=width, height=height), tuple(faces))


@pytest.mark.parametrize("size", [(640, 360), (3840, 2160), (720, 576)])
def test_a_change_of_the_resolution_ends_no_track(size: tuple[int, int]) -> None:
    faces = ((100.0, 100.0, 60.0), (900.0, 700.0, 80.0))
    frames = [seen(40 * n, *faces) for n in range(15)]
    frames[5:10] = [resized(frame, *size) for frame in frames[5:10]]
    tracked = play(tracker(), frames)
    assert {tuple(ids(frame)) for frame in tracked} == {("door-1f3c-1", "door-1f3c-2")}
    assert all(not frame.ended for frame in tracked)
    assert [item.face for item in tracked[7].faces] == list(frames[7].faces)  # reported in pixels of its own picture


def test_a_lost_track_is_recovered_in_a_picture_of_another_size() -> None:
    before = [seen(40 * n, (100, 100, 60)) for n in range(5)]
    after = [resized(seen(40 * n, (110, 100, 60)), 640, 360) for n in range(15, 20)]
    gone = [seen(40 * n) for n in range(5, 15)]
    tracked = play(tracker(), [*before, *gone, *after])
    assert {tuple(ids(frame)) for frame in tracked if frame.faces} == {("door-1f3c-1",)}


# -- breaks --------------------------------------------------------------------------------------


def scene(frame: DetectedFrame, seed: int) -> DetectedFrame:
    """The frame with a thumbnail of a scene of its own."""
    return replace(frame, thumbnail=np.random.default_rng(seed).uniform(0, 255, (9, 16)).astype(np.float32))


def test_a_cut_to_another_scene_is_reported_once() -> None:
    frames = play(tracker(), (scene(seen(40 * n, (100, 100, 60)), seed=n // 5) for n in range(10)))
    assert [frame.cut for frame in frames] == [False] * 5 + [True] + [False] * 4


def test_frames_without_thumbnails_have_no_cuts() -> None:
    assert not any(frame.cut for frame in play(tracker(), (seen(40 * n, (100, 100, 60)) for n in range(3))))


def test_a_track_that_jumps_is_reported_once() -> None:
    frames = play(tracker(), (seen(40 * n, (100 if n < 5 else 155, 100, 60)) for n in range(8)))
    assert {tuple(ids(frame)) for frame in frames} == {("door-1f3c-1",)}
    assert [frame.faces[0].jumped for frame in frames] == [False] * 5 + [True, False, False]


def test_a_face_that_walks_fast_does_not_jump() -> None:
    frames = play(tracker(), (seen(40 * n, (100 + 40 * n, 100, 60)) for n in range(20)))
    assert {tuple(ids(frame)) for frame in frames} == {("door-1f3c-1",)}
    assert not any(frame.faces[0].jumped for frame in frames)
