"""Detection, quality gates and tracking on the real clips: what issue and design promise of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ferstream.capture.options import FrameOptions
from ferstream.capture.recording import FileSource
from ferstream.detection.detector import DetectorLimits, DetectorModel
from ferstream.detection.factory import load_detector
from ferstream.detection.prepare import FacePreparer
from ferstream.domain.emotion import Abstained
from ferstream.domain.track import TrackedFrame
from ferstream.inference.alignment import align_with_matrix
from ferstream.runtime.counters import Counters
from ferstream.tracking.bytetrack import ByteTracker

Follow = Callable[[str], list[TrackedFrame]]


@pytest.fixture(scope="module")
def model() -> DetectorModel:
    return load_detector()


@pytest.fixture
def follow(model: DetectorModel, videos_dir: Path) -> Follow:
    def run(name: str, fps: float = 0.0) -> list[TrackedFrame]:
        return list(_followed(videos_dir / name, model, fps))

    return run


def _followed(video: Path, model: DetectorModel, fps: float) -> Iterator[TrackedFrame]:
    source = FileSource(path=video, camera="clip", observer=Counters(), options=FrameOptions(width=640, analysis_fps=fps))
    source.open()
    preparer, tracker = FacePreparer(align=align_with_matrix), ByteTracker(camera="clip", run="0")
    detector = model.new_detector(DetectorLimits(min_face_px=16))
    for frame in source.frames():
        faces = detector.detect(frame.detection_image, width=frame.info.width, height=frame.info.height)
        yield tracker.update(preparer.prepare(frame, faces))
    last = tracker.finish()
    source.close()
    if last:
        yield last


def sights(frames: list[TrackedFrame]) -> Counter[str]:
    """Observations of each track."""
    return Counter(item.track.id for frame in frames for item in frame.faces)


def reasons(frames: list[TrackedFrame]) -> Counter[Abstained | None]:
    """Faces by why they are not judged; None for the judged."""
    return Counter(item.face.abstained for frame in frames for item in frame.faces)


def test_one_woman_is_one_track_and_always_classified(follow: Follow) -> None:
    frames = follow("sad_to_happy.mp4")
    assert len(sights(frames)) == 1
    assert sights(frames).total() >= 460
    assert reasons(frames)[None] >= 0.95 * 472


def test_heads_from_behind_are_never_classified(follow: Follow) -> None:
    counted = reasons(follow("overhead_person.mp4"))
    assert 30 <= counted.total() <= 60
    assert counted[None] == 0


def test_a_street_gives_many_faces_on_few_tracks(follow: Follow) -> None:
    frames = follow("people_walking_1080p.mp4")
    assert sights(frames).total() >= 500
    assert len(sights(frames)) <= 20
    assert reasons(frames)[None] >= 400
    assert min(count for _, count in sights(frames).most_common(3)) >= 75


def test_a_cartoon_gives_no_faces(follow: Follow) -> None:
    assert sights(follow("no_face.mp4")).total() == 0


def test_the_track_ends_when_the_man_is_gone(follow: Follow) -> None:
    frames = follow("face_then_none.mov")
    (end,) = [frame.info for frame in frames if frame.ended]
    last = max(frame.info.media_time_ns for frame in frames if frame.faces)
    assert 1.5 < (end.media_time_ns - last) / 1e9 < 1.7
    assert len(sights(frames)) == 1


@pytest.mark.parametrize(
    ("name", "people"),
    [
        ("head-pose-face-detection-male.gif", 1),
        ("head-pose-face-detection-female-and-male.gif", 2),
        ("face-demographics-walking-and-pause.gif", 3),
        ("help.mkv", 1),
        ("yes.mkv", 1),
    ],
)
def test_frontal_faces_are_classified_and_each_person_is_one_track(follow: Follow, name: str, people: int) -> None:
    frames = follow(name)
    assert len(sights(frames)) == people
    assert reasons(frames)[None] >= 0.95 * sights(frames).total()
