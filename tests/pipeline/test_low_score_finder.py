"""The finder for hiding returns the faces of the usual finder, and reports more."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from ferstream.capture.recording import FileSource
from ferstream.domain.face import Face
from ferstream.domain.frame import FrameInfo
from ferstream.pipeline.models import DetectionPlan, InferencePlan, Models
from ferstream.runtime.counters import Counters


def test_the_faces_are_those_of_the_usual_finder_and_unsure_ones_are_reported(videos_dir: Path) -> None:
    reported: list[tuple[Face, ...]] = []

    def on_detected(info: FrameInfo, faces: tuple[Face, ...]) -> None:
        reported.append(faces)

    models = Models(detection=DetectionPlan(), inference=InferencePlan(deterministic=True))
    source = FileSource(path=videos_dir / "people_walking_1080p.mp4", camera="street", observer=Counters())
    try:
        (usual,), (low,) = models.finders(), models.low_score_finders(on_detected)
        source.open()
        for frame in islice(source.frames(), 0, 60, 6):
            wanted, found = usual(frame), low(frame)
            assert [(face.face, face.abstained) for face in found.faces] == [(face.face, face.abstained) for face in wanted.faces]
            assert all((a.crop == b.crop).all() for a, b in zip(found.faces, wanted.faces, strict=True) if a.crop is not None)
            assert {face.face for face in wanted.faces} <= set(reported[-1])
    finally:
        source.close()
        models.close()
    unsure = [face.score for faces in reported for face in faces if face.score < 0.7]
    assert len(unsure) >= 10
    assert min(unsure) == pytest.approx(0.35, abs=0.05)
