"""The JSON of ``ferstream predict``, schema ``ferstream.predict/1``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ferstream.domain.emotion import LABELS
from ferstream.inference.classifier import Classifier
from ferstream.runtime.printable import printable
from ferstream.stills.analysis import FaceResult, PictureResult

SCHEMA = "ferstream.predict/1"


def as_json(images: Sequence[dict[str, Any]], classifier: Classifier) -> dict[str, Any]:
    """Return the report about pictures.

    Args:
        images: What ``picture_json`` returned for each picture.
        classifier: What classified their faces.
    """
    return {"schema": SCHEMA, "model": {"name": classifier.name, "version": classifier.version}, "images": list(images)}


def picture_json(result: PictureResult) -> dict[str, Any]:
    """Return the result of one picture as plain values: boxes in pixels to one digit, probabilities to four."""
    height, width = result.picture.shape[:2]
    return {"file": printable(result.path), "width": width, "height": height, "faces": [face_json(face) for face in result.faces]}


def face_json(result: FaceResult) -> dict[str, Any]:
    """Return one face as plain values: boxes in pixels to one digit, probabilities to four."""
    detection: dict[str, Any] = {"box": None, "score": None, "landmarks": None}
    if result.face is not None:
        box = result.face.box
        detection = {
            "box": [round(value, 1) for value in (box.x, box.y, box.w, box.h)],
            "score": round(result.face.score, 4),
            "landmarks": [[round(x, 1), round(y, 1)] for x, y in result.face.landmarks],
        }
    probabilities = None
    if result.probabilities is not None:
        probabilities = {name: round(p, 4) for name, p in zip(LABELS, result.probabilities, strict=True)}
    emotion = {"label": result.label, "best": result.best, "confidence": round(result.confidence, 4), "probabilities": probabilities}
    return {**detection, **emotion, "abstained": None if result.abstained is None else result.abstained.value}
