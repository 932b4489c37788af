"""What one face costs on this machine, measured in some hundredths of a second at the start."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import numpy as np

from ferstream.domain.face import FACE_SIZE_PX
from ferstream.inference.classifier import Classifier

_FACES = 4
_CALLS = 8


def ms_per_face(classifier: Classifier, *, now_s: Callable[[], float] = perf_counter) -> float:
    """Return the milliseconds a face of the fastest of some calls with four faces; the classifier is warm already.

    Args:
        classifier: The classifier.
        now_s: Monotonic time in seconds.

    Raises:
        ModelError: The classifier fails.
    """
    faces = np.random.default_rng(0).integers(0, 256, (_FACES, FACE_SIZE_PX, FACE_SIZE_PX), dtype=np.uint8)
    fastest_s = float("inf")
    for _ in range(_CALLS):
        started_s = now_s()
        classifier.classify(faces)
        fastest_s = min(fastest_s, now_s() - started_s)
    return 1000 * fastest_s / _FACES
