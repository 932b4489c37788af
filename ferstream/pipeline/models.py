"""The two models of a pipeline, loaded once and shared by its workers: face detector and expression classifier."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2

from ferstream.detection.detector import Detector, DetectorLimits, DetectorModel
from ferstream.detection.factory import load_detector
from ferstream.detection.mask import Polygon, PrivacyMask
from ferstream.detection.prepare import FacePreparer
from ferstream.detection.quality import QualityLimits
from ferstream.detection.upright import CHECK_SIZE, UprightCheck
from ferstream.domain.face import DetectedFrame
from ferstream.domain.frame import Frame, detection_size
from ferstream.inference.alignment import ALIGNMENTS
from ferstream.inference.backends import open_classifier
from ferstream.inference.batch_classifier import BatchClassifier
from ferstream.inference.classifier import Classifier
from ferstream.inference.model_choice import open_bundle
from ferstream.pipeline.low_score_finder import LOW_SCORE, SMALLEST_PX, LowScoreFinder, OnDetected
from ferstream.runtime.observer import Observer

SMALLEST_FACE_PX = 16.0
"""Shorter side of a face in source pixels below which the landmarks of the detector are noise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionPlan:
    """How faces are found.

    Attributes:
        weights: Name of a detector or file of YuNet weights, as ``load_detector`` takes it; None for YuNet with its own weights.
        device: OpenVINO's name of the device, or ``auto``.
        score: Lowest detector confidence, 0..1.
        min_face_px: Smaller faces (shorter side, source pixels) are labelled ``unknown``.
        check_visibility: Whether faces that moved, are covered or in the dark are labelled ``unknown``.
        workers: Number of detection threads.
        width: Longer side of the detection image in pixels; the size for 16:9 is prepared while loading.
    """

    weights: str | None = None
    device: str = "auto"
    score: float = 0.7
    min_face_px: float = 24.0
    check_visibility: bool = True
    workers: int = 1
    width: int = 640


@dataclass(frozen=True, slots=True, kw_only=True)
class InferencePlan:
    """How crops are classified.

    Attributes:
        model: ``auto``, name, name/version or folder of a bundle.
        backend: ``auto``, ``openvino`` or ``keras``.
        device: OpenVINO's name of the device, or ``auto``.
        max_batch: Largest number of faces per call.
        threads: Number of CPU threads of the classifier.
        deterministic: Whether results must not depend on how faces were batched.
    """

    model: str = "auto"
    backend: str = "auto"
    device: str = "auto"
    max_batch: int = 32
    threads: int = 1
    deterministic: bool = False


class FaceFinder:
    """Finds the faces of frames for one detection worker: masks, detection, quality, crops."""

    def __init__(
        self, *, detector: Detector, preparer: Callable[[str], FacePreparer], on_masked: Callable[[Frame], None] | None = None
    ) -> None:
        """Keep the parts.

        Args:
            detector: The worker's own detector.
            preparer: Returns the preparer of a camera, given by its name.
            on_masked: Called with each frame at the end, when the masks of its camera are painted into its detection image.
        """
        self._detector, self._preparer, self._upright = detector, preparer, UprightCheck(detector)
        self._on_masked = on_masked

    def __call__(self, frame: Frame) -> DetectedFrame:
        """Find the faces of one frame and cut them from its full-size grey plane."""
        info = frame.info
        preparer = self._preparer(info.camera)
        preparer.apply_masks(frame)
        faces = self._detector.detect(frame.detection_image, width=info.width, height=info.height)
        detected = preparer.prepare(frame, faces, self._upright.is_upright)
        if self._on_masked is not None:
            self._on_masked(frame)
        return detected


class Models:
    """The loaded detector and classifier.

    Attributes:
        classifier: The loaded classifier.
        chosen_because: Why ``auto`` chose its model; empty where the model was named.
    """

    def __init__(self, *, detection: DetectionPlan, inference: InferencePlan) -> None:
        """Load both models in parallel, and warm them up.

        Args:
            detection: How faces are found.
            inference: How crops are classified.

        Raises:
            ModelError: One of them cannot be used.
        """
        cv2.setNumThreads(1)  # the pipeline's own threads use all cores; OpenCV's thread pool would compete with them
        self._detection = detection
        with ThreadPoolExecutor(max_workers=2) as pool:
            detector_model = pool.submit(_load_detector, detection)
            self.classifier, self.chosen_because = _load_classifier(inference)
            self._detector_model = detector_model.result()
        self._limits = QualityLimits(min_face_px=detection.min_face_px, check_visibility=detection.check_visibility)
        self._preparers: dict[str, FacePreparer] = {}
        self._detectors: list[Detector] = []

    def set_masks(self, camera: str, polygons: Sequence[Polygon]) -> None:
        """Set the privacy masks of a camera; call it before the first frame of the camera.

        Raises:
            ConfigError: A polygon is not valid.
        """
        self._preparers[camera] = FacePreparer(
            align=ALIGNMENTS[self.classifier.alignment_id], limits=self._limits, mask=PrivacyMask(polygons)
        )

    def finders(self, on_masked: Callable[[Frame], None] | None = None) -> list[FaceFinder]:
        """Make one face finder per detection worker.

        Args:
            on_masked: Called with each analysed frame, whose detection image has the masks of its camera; any thread.
        """
        plan = self._detection
        # The detector returns small faces too, which are then labelled unknown; its own limit only excludes noise.
        limits = DetectorLimits(score=plan.score, min_face_px=min(plan.min_face_px, SMALLEST_FACE_PX))
        detectors = [self._detector_model.new_detector(limits) for _ in range(plan.workers)]
        self._detectors.extend(detectors)
        return [FaceFinder(detector=detector, preparer=self._preparer, on_masked=on_masked) for detector in detectors]

    def low_score_finders(self, on_detected: OnDetected) -> list[LowScoreFinder]:
        """Make one finder per detection worker that returns the same faces as ``finders`` and reports all that may be one.

        Args:
            on_detected: Takes everything that was found in a frame; any thread.
        """
        made = []
        for finder in self.finders():
            detector = self._detector_model.new_detector(DetectorLimits(score=LOW_SCORE, min_face_px=SMALLEST_PX))
            self._detectors.append(detector)
            made.append(LowScoreFinder(finder=finder, detector=detector, on_detected=on_detected))
        return made

    def classification(self, *, max_batch: int, observer: Observer) -> BatchClassifier:
        """Make the function that classifies any number of crops, ``max_batch`` at a time."""
        return BatchClassifier(self.classifier, max_batch=max_batch, observer=observer)

    def _preparer(self, camera: str) -> FacePreparer:
        preparer = self._preparers.get(camera)
        if preparer is None:
            self.set_masks(camera, ())
            preparer = self._preparers[camera]
        return preparer

    def end_of_pipeline(self) -> None:
        """Free what belongs to one pipeline, the detectors of its workers and the masks of its cameras, so that another one can be made."""
        for detector in self._detectors:
            detector.close()
        self._detectors.clear()
        self._preparers.clear()

    def close(self) -> None:
        """Free both models and all detectors."""
        self.end_of_pipeline()
        self._detector_model.close()
        self.classifier.close()


def _load_detector(plan: DetectionPlan) -> DetectorModel:
    model = load_detector(plan.weights, device=plan.device, workers=plan.workers)
    # Most cameras are 16:9. Prepared now, in parallel with the classifier, the detector does not delay their first frames.
    model.warm_up(*detection_size(1920, 1080, plan.width))
    model.warm_up(*CHECK_SIZE)
    return model


def _load_classifier(plan: InferencePlan) -> tuple[Classifier, str]:
    bundle, why = open_bundle(plan.model, backend=plan.backend, device=plan.device)
    classifier = open_classifier(
        bundle,
        backend=plan.backend,
        device=plan.device,
        threads=plan.threads,
        max_batch=plan.max_batch,
        deterministic=plan.deterministic,
    )
    classifier.warm_up()
    return classifier, why
