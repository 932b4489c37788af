"""The finder for hiding returns the faces of the usual finder, and reports more."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from ferstream.capture.recording import FileSource
from ferstream.domain.face import Face
from ferstream.domain.frame import FrameInfo, Luma
from ferstream.pipeline.low_score_finder import LARGE_PX, large_picture
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
    assert 0.3 <= min(unsure) < 0.4
    assert min(face.box.w for faces in reported for face in faces) < 20


@pytest.mark.parametrize(("size", "aspect"), [((1920, 1080), 1.0), ((480, 270), 1.0), ((720, 576), 64 / 45), ((100, 400), 1.0)])
def test_the_larger_picture_has_the_same_greys_in_square_pixels(size: tuple[int, int], aspect: float) -> None:
    width, height = size
    ramp = np.linspace(16, 235, width).astype(np.uint8)[None].repeat(height, 0)
    for plane, bits in ((ramp, 8), (ramp.astype(np.uint16) * 4, 10)):
        picture = large_picture(Luma(plane[:, ::-1][:, ::-1], limited=True, bits=bits, pixel_aspect=aspect))
        assert max(picture.shape) == LARGE_PX
        assert picture.shape[1] / picture.shape[0] == pytest.approx(width * aspect / height, rel=0.06)
        assert [int(picture[0, 0, 0]), int(picture[-1, -1, 2])] == pytest.approx([0, 255], abs=3)
