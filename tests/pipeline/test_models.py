"""The two models of a pipeline: loaded once, one detector per worker, masks per camera."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from ferstream.detection.detector import Picture
from ferstream.detection.mask import MASK_GREY, PrivacyMask
from ferstream.detection.prepare import FacePreparer
from ferstream.domain.emotion import Abstained
from ferstream.domain.face import Face
from ferstream.domain.frame import Frame, FrameInfo, Luma
from ferstream.errors import ConfigError, ModelError
from ferstream.inference.alignment import ALIGNMENTS, FER2013_5PT
from ferstream.pipeline.models import DetectionPlan, FaceFinder, InferencePlan, Models
from ferstream.runtime.counters import Counters
from tests.support.builders import face

LEFT_HALF = [[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]]


class RecordingDetector:
    """A detector that returns given faces and keeps its last picture."""

    def __init__(self, *faces: Face) -> None:
        self._faces = faces
        self.pictures: list[tuple[Picture, int, int]] = []

    def detect(self, picture: Picture, *, width: int, height: int) -> tuple[Face, ...]:
        self.pictures.append((picture.copy(), width, height))
        return self._faces

    def close(self) -> None:
        """Nothing to free."""


def frame(camera: str = "door") -> Frame:
    """A white picture of 640x480."""
    info = FrameInfo(camera, 0, 0, 0, 0, 640, 480, live=False)
    return Frame(info, Luma(np.full((480, 640), 255, np.uint8), limited=False), np.full((96, 128, 3), 255, np.uint8))


@pytest.fixture(scope="module")
def models() -> Iterator[Models]:
    """The shipped models, for two workers."""
    loaded = Models(detection=DetectionPlan(workers=2, width=320), inference=InferencePlan())
    yield loaded
    loaded.close()


class TestFaceFinder:
    """Masks are applied before detection, with the preparer of the frame's camera."""

    def finder(self, detector: RecordingDetector) -> FaceFinder:
        """Masks for the camera ``yard`` only."""

        def preparer(camera: str) -> FacePreparer:
            mask = PrivacyMask([LEFT_HALF]) if camera == "yard" else None
            return FacePreparer(align=ALIGNMENTS[FER2013_5PT], mask=mask)

        return FaceFinder(detector=detector, preparer=preparer)

    @pytest.mark.parametrize(("camera", "left"), [("door", 255), ("yard", MASK_GREY)])
    def test_the_detector_sees_the_masked_detection_image(self, camera: str, left: int) -> None:
        detector = RecordingDetector()
        self.finder(detector)(frame(camera))
        ((picture, width, height),) = detector.pictures
        assert (width, height) == (640, 480)
        assert (picture[:, :60] == left).all()
        assert (picture[:, 70:] == 255).all()

    @pytest.mark.parametrize(("camera", "left"), [("door", 255), ("yard", MASK_GREY)])
    def test_a_picture_that_is_kept_has_the_masks_of_its_camera(self, camera: str, left: int) -> None:
        kept: list[Frame] = []
        finder = FaceFinder(
            detector=RecordingDetector(),
            preparer=lambda name: FacePreparer(align=ALIGNMENTS[FER2013_5PT], mask=PrivacyMask([LEFT_HALF]) if name == "yard" else None),
            on_masked=kept.append,
        )
        finder(frame(camera))
        (picture,) = [item.detection_image for item in kept]
        assert (picture[:, :60] == left).all()
        assert (picture[:, 70:] == 255).all()

    def test_the_picture_of_a_frame_that_could_not_be_analysed_is_not_kept(self) -> None:
        def fails(name: str) -> FacePreparer:
            raise ModelError("no masks are known")

        kept: list[Frame] = []
        with pytest.raises(ModelError):
            FaceFinder(detector=RecordingDetector(), preparer=fails, on_masked=kept.append)(frame())
        assert kept == []

    def test_faces_in_masks_are_dropped_and_others_have_crops(self) -> None:
        masked, visible = face(x=100, y=100, side=60), face(x=400, y=100, side=60)
        found = self.finder(RecordingDetector(masked, visible))(frame("yard"))
        assert [item.face for item in found.faces] == [visible]
        assert found.faces[0].crop is not None
        assert found.faces[0].abstained is Abstained.BLURRED  # a white picture


class TestModels:
    """The shipped models."""

    def test_each_worker_has_a_finder(self, models: Models) -> None:
        finders = models.finders()
        assert len(finders) == 2
        assert [finder(frame()).faces for finder in finders] == [(), ()]

    def test_an_invalid_polygon_is_an_error(self, models: Models) -> None:
        with pytest.raises(ConfigError, match="polygon 1 has 2 corners"):
            models.set_masks("door", [[[0, 0], [1, 1]]])

    def test_the_classifier_runs_in_batches(self, models: Models) -> None:
        counters = Counters()
        rows = models.classification(max_batch=2, observer=counters)(np.zeros((5, 48, 48), np.uint8))
        assert rows.shape == (5, 7)
        assert counters.snapshot().batches.count == 3

    def test_missing_weights_are_an_error(self) -> None:
        with pytest.raises(ModelError, match="does not exist"):
            Models(detection=DetectionPlan(weights="missing.onnx"), inference=InferencePlan())

    def test_models_can_be_used_by_another_pipeline_without_the_masks_of_the_first(self, models: Models) -> None:
        models.set_masks("door", [[(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]])
        first = models.finders()[0]
        masked = frame()
        first(masked)
        assert (masked.detection_image == MASK_GREY).all()
        models.end_of_pipeline()
        with pytest.raises(ModelError, match="used after close"):
            first(frame())
        unmasked = frame()
        assert models.finders()[0](unmasked).faces == ()
        assert (unmasked.detection_image == 255).all()

    def test_closed_models_cannot_be_used(self) -> None:
        models = Models(detection=DetectionPlan(width=320), inference=InferencePlan())
        (finder,) = models.finders()
        models.close()
        with pytest.raises(ModelError, match="after close"):
            finder(frame())
        with pytest.raises(ModelError, match="after close"):
            models.classification(max_batch=1, observer=Counters())(np.zeros((1, 48, 48), np.uint8))
