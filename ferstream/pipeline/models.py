"""The networks of a pipeline, loaded once and shared by everything that looks at faces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2

from ferstream.detection.detector import Detector
from ferstream.detection.mask import Polygon, PrivacyMask
from ferstream.detection.prepare import FacePreparer
from ferstream.detection.quality import QualityLimits
from ferstream.detection.weights import find_weights
from ferstream.detection.yunet import Limits, YuNetModel
from ferstream.domain.face import DetectedFrame
from ferstream.domain.frame import Frame, detection_size
from ferstream.inference.alignment import ALIGNMENTS
from ferstream.inference.backends import open_classifier
from ferstream.inference.bundle import load_bundle
from ferstream.inference.classifier import Classifier
from ferstream.inference.stage import Classification
from ferstream.runtime.observer import Observer


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionPlan:
    """How faces are found.

    Attributes:
        weights: A YuNet file, None for the packaged one.
        device: OpenVINO device or ``auto``.
        score: Least detector confidence, 0..1.
        min_face_px: Smaller faces (shorter side, source pixels) are not judged.
        workers: Detection threads.
        width: Wanted longer side of the picture the detector sees; its graph for 16:9 is compiled while loading.
    """

    weights: str | None = None
    device: str = "auto"
    score: float = 0.7
    min_face_px: float = 24.0
    workers: int = 1
    width: int = 640


@dataclass(frozen=True, slots=True, kw_only=True)
class InferencePlan:
    """How crops are classified.

    Attributes:
        model: Name, name/version or folder of a bundle.
        backend: auto, openvino or keras.
        device: OpenVINO device or ``auto``.
        max_batch: Faces per call.
        threads: Classifier threads.
        deterministic: Results must not depend on how faces were batched.
    """

    model: str = "emotion-edge"
    backend: str = "auto"
    device: str = "auto"
    max_batch: int = 32
    threads: int = 1
    deterministic: bool = False


class FaceFinder:
    """One detection worker's eyes: mask, find, judge, cut. One thread."""

    def __init__(self, *, detector: Detector, preparer: Callable[[str], FacePreparer]) -> None:
        self._detector, self._preparer = detector, preparer

    def __call__(self, frame: Frame) -> DetectedFrame:
        """Find the faces of one frame and cut them out of its full-size grey plane."""
        info = frame.info
        preparer = self._preparer(info.camera)
        preparer.paint(frame)
        faces = self._detector.detect(frame.detection_image, width=info.width, height=info.height)
        return preparer.prepare(frame, faces)


class Models:
    """Detector weights and classifier, loaded and warm."""

    def __init__(self, *, detection: DetectionPlan, inference: InferencePlan) -> None:
        """Load both networks, side by side.

        Raises:
            ModelError: One of them cannot be used.
        """
        cv2.setNumThreads(1)  # the pipeline's own threads fill the cores; OpenCV's pool would only get in their way
        self._detection = detection
        with ThreadPoolExecutor(max_workers=2) as pool:
            yunet = pool.submit(self._load_detector)
            self.classifier: Classifier = self._load_classifier(inference)
            self._yunet = yunet.result()
        self._limits = QualityLimits(min_face_px=detection.min_face_px)
        self._preparers: dict[str, FacePreparer] = {}
        self._detectors: list[Detector] = []

    def _load_detector(self) -> YuNetModel:
        plan = self._detection
        model = YuNetModel(weights=find_weights(plan.weights), device=plan.device, workers=plan.workers)
        # Most cameras are 16:9. Compiled now, beside the classifier, it does not make their first frames wait and grow stale.
        model.request(*detection_size(1920, 1080, plan.width))
        return model

    @staticmethod
    def _load_classifier(plan: InferencePlan) -> Classifier:
        classifier = open_classifier(
            load_bundle(plan.model),
            backend=plan.backend,
            device=plan.device,
            threads=plan.threads,
            max_batch=plan.max_batch,
            deterministic=plan.deterministic,
        )
        classifier.warm_up()
        return classifier

    def set_masks(self, camera: str, polygons: Sequence[Polygon]) -> None:
        """Set what is never analysed in a camera's picture; before its first frame.

        Raises:
            ConfigError: A polygon is none.
        """
        self._preparers[camera] = FacePreparer(
            align=ALIGNMENTS[self.classifier.alignment_id], limits=self._limits, mask=PrivacyMask(polygons)
        )

    def finders(self) -> list[FaceFinder]:
        """Make one finder per detection worker."""
        plan = self._detection
        # Small faces are found and then labelled unknown, so the detector's own limit is only a floor against noise.
        limits = Limits(score=plan.score, min_face_px=min(plan.min_face_px, SMALLEST_FACE_PX))
        detectors = [self._yunet.new_detector(limits) for _ in range(plan.workers)]
        self._detectors.extend(detectors)
        return [FaceFinder(detector=detector, preparer=self._preparer) for detector in detectors]

    def classification(self, *, max_batch: int, observer: Observer) -> Classification:
        """Make the function that classifies any number of crops."""
        return Classification(self.classifier, max_batch=max_batch, observer=observer)

    def _preparer(self, camera: str) -> FacePreparer:
        preparer = self._preparers.get(camera)
        if preparer is None:
            self.set_masks(camera, ())
            preparer = self._preparers[camera]
        return preparer

    def close(self) -> None:
        """Free the networks."""
        for detector in self._detectors:
            detector.close()
        self.classifier.close()


SMALLEST_FACE_PX = 16.0
"""Below this the detector's landmarks are noise."""
