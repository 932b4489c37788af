"""Checks of the face detector and the expression model: each is loaded and run once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ferstream.app.checks.finding import Finding, failed_with, passed
from ferstream.app.factories import detection_plan, inference_plan
from ferstream.errors import FerstreamError
from ferstream.settings import Settings


def check_detector(settings: Settings) -> Iterator[Finding]:
    """Load the face detector and run it on one grey image."""
    from ferstream.detection.detector import DetectorLimits
    from ferstream.detection.factory import load_detector

    plan = detection_plan(settings)
    height = settings.detection.width * 9 // 16
    try:
        model = load_detector(plan.weights, device=plan.device)
        detector = model.new_detector(DetectorLimits(score=plan.score))
        detector.detect(np.full((height, settings.detection.width, 3), 128, np.uint8), width=settings.detection.width, height=height)
    except FerstreamError as exc:
        yield failed_with("detector", exc, "set detection.model to a YuNet file, or remove the key; set detection.device to auto")
    else:
        yield passed("detector", f"{model.name}, {settings.detection.width} pixels wide, device {plan.device}")


def check_classifier(settings: Settings) -> Iterator[Finding]:
    """Load and verify the model bundle, and measure what a face costs."""
    from ferstream.inference.backends import open_classifier
    from ferstream.inference.cost import ms_per_face
    from ferstream.inference.model_choice import open_bundle

    plan = inference_plan(settings, deterministic=False)
    try:
        bundle, why = open_bundle(plan.model, backend=plan.backend, device=plan.device)
        classifier = open_classifier(bundle, backend=plan.backend, device=plan.device, threads=plan.threads, max_batch=plan.max_batch)
        try:
            classifier.warm_up()
            cost = f"{ms_per_face(classifier):.2f} ms a face"
            chosen = f" (auto: {why})" if why else ""
            detail = f"{classifier.name} {classifier.version}{chosen} on {classifier.backend}, {cost}, {bundle.directory}"
        finally:
            classifier.close()
    except FerstreamError as exc:
        yield failed_with(
            "model", exc, "set inference.model to a known model, or remove the key; set inference.backend and .device to auto"
        )
    else:
        yield passed("model", detail)
