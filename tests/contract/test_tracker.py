"""What every tracker must do, checked with ByteTracker and with a minimal one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ferstream.domain.face import Box, DetectedFrame, Face, FaceCrop
from ferstream.domain.frame import FrameInfo
from ferstream.domain.track import Track, TrackedFace, TrackedFrame, TrackState
from ferstream.tracking.bytetrack import ByteTracker
from ferstream.tracking.tracker import Tracker

MS = 1_000_000
NewTracker = Callable[[], Tracker]


class OneFrameTracker:
    """A minimal tracker: every face is a track of one frame."""

    def __init__(self) -> None:
        self._made = 0
        self._open: tuple[Track, ...] = ()
        self._last: FrameInfo | None = None

    def update(self, frame: DetectedFrame) -> TrackedFrame:
        ended, faces = self._open, []
        for face in frame.faces:
            self._made += 1
            faces.append(TrackedFace(Track(f"door-x-{self._made}", TrackState.APPEARED, 0), face))
        self._open = tuple(Track(item.track.id, TrackState.LEFT, 0) for item in faces)
        self._last = frame.info
        return TrackedFrame(frame.info, tuple(faces), ended)

    def finish(self) -> TrackedFrame | None:
        ended, self._open = self._open, ()
        return TrackedFrame(self._last, (), ended) if ended and self._last else None


@pytest.fixture(params=["bytetrack", "one_frame"])
def new_tracker(request: pytest.FixtureRequest) -> NewTracker:
    if request.param == "bytetrack":
        return lambda: ByteTracker(camera="door", run="x")
    return OneFrameTracker


def seen(at_ms: int, *boxes: tuple[float, float, float]) -> DetectedFrame:
    info = FrameInfo("door", at_ms // 40, at_ms * MS, 0, 0, 1920, 1080, live=False)
    faces = [Face(Box(x, y, s, s), 0.9 - i / 100, ((x, y), (x + s, y), (x, y + s), (x, y), (x, y))) for i, (x, y, s) in enumerate(boxes)]
    return DetectedFrame(info, tuple(FaceCrop(face, None) for face in faces))


def played(tracker: Tracker, frames: Sequence[DetectedFrame]) -> list[TrackedFrame]:
    out = [tracker.update(frame) for frame in frames]
    last = tracker.finish()
    return out + ([last] if last else [])


_box = st.tuples(st.floats(0, 1500), st.floats(0, 900), st.floats(16, 300))


@st.composite
def _scenes(draw: st.DrawFn) -> list[DetectedFrame]:
    at, frames = 0, []
    for step in draw(st.lists(st.sampled_from([0, 40, 40, 40, 200, 900, 4000]), max_size=25)):
        at += step
        frames.append(seen(at, *draw(st.lists(_box, max_size=5))))
    return frames


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frames=_scenes())
def test_tracks_appear_and_end_once_whatever_the_faces(new_tracker: NewTracker, frames: list[DetectedFrame]) -> None:
    alive: dict[str, int] = {}
    over: set[str] = set()
    out = played(new_tracker(), frames)
    for given_frame, tracked in zip(frames, out, strict=False):
        assert [item.face for item in tracked.faces] == list(given_frame.faces), "every face has a track, in the same order"
    for tracked in out:
        ids = [item.track.id for item in tracked.faces]
        assert len(ids) == len(set(ids))
        for track in tracked.ended:
            assert track.state is TrackState.LEFT
            assert track.id in alive, "a track ends once, after it appeared"
            assert track.age_ns <= tracked.info.media_time_ns - alive[track.id]
            del alive[track.id]
            over.add(track.id)
        for item in tracked.faces:
            assert item.track.id not in over
            expected = TrackState.PRESENT if item.track.id in alive else TrackState.APPEARED
            assert item.track.state is expected
            born = alive.setdefault(item.track.id, tracked.info.media_time_ns)
            assert item.track.age_ns == tracked.info.media_time_ns - born
    assert not alive, "finish ends all tracks"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frames=_scenes())
def test_the_same_frames_give_the_same_tracks(new_tracker: NewTracker, frames: list[DetectedFrame]) -> None:
    assert played(new_tracker(), frames) == played(new_tracker(), frames)


def test_finish_ends_each_track_once(new_tracker: NewTracker) -> None:
    tracker = new_tracker()
    tracker.update(seen(0, (100, 100, 50)))
    first = tracker.finish()
    assert first is not None and len(first.ended) == 1 and first.faces == ()
    assert tracker.finish() is None


def test_finish_before_the_first_frame_returns_none(new_tracker: NewTracker) -> None:
    assert new_tracker().finish() is None
