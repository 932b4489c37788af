"""The networks that calls of ``analyze``, ``replay`` and ``watch`` use: loaded by the first call, kept for the next ones. Any thread.

A process that was made by ``fork`` loads networks of its own: those of its parent have threads that it does not have.
"""

from __future__ import annotations

import atexit
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ferstream.api.pool import Pool

if TYPE_CHECKING:
    from ferstream.detection.detector import Detector, DetectorLimits, DetectorModel
    from ferstream.inference.classifier import Classifier
    from ferstream.pipeline.models import DetectionPlan, InferencePlan, Models

DETECTOR_SIZES = 8
"""Picture sizes whose networks a detector keeps, as in ``ferstream predict``: a network takes up to 40 MB."""
MOST_STILL_CALLS = 4
"""Most pictures that are analysed at a time, on as many cores; further calls wait. Each has networks of its own."""
KEPT_PIPELINES = 2
"""Most pairs of networks that are kept for ``replay`` and ``watch``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StillKey:
    """What the networks of still pictures are loaded from.

    Attributes:
        model: ``auto``, or name, name/version or folder of a model bundle.
        backend: ``auto``, ``openvino`` or ``keras``.
        detector: Name of a detector, or file of its weights; ``auto`` for the default.
        detect: Whether a detector is needed.
    """

    model: str = "auto"
    backend: str = "auto"
    detector: str = "auto"
    detect: bool = True


class StillNetworks:
    """A classifier and a detector for one call at a time."""

    def __init__(self, key: StillKey) -> None:
        """Load the networks.

        Raises:
            ModelError: One of them cannot be used.
        """
        from ferstream.detection.factory import load_detector
        from ferstream.inference.backends import open_classifier
        from ferstream.inference.model_choice import open_bundle

        self.classifier: Classifier = open_classifier(open_bundle(key.model, backend=key.backend)[0], backend=key.backend)
        self._model: DetectorModel | None = load_detector(key.detector, keep_sizes=DETECTOR_SIZES) if key.detect else None
        self._detector: tuple[DetectorLimits, Detector] | None = None

    def detector(self, limits: DetectorLimits) -> Detector | None:
        """Return a detector with these limits; None if none was loaded."""
        if self._model is None:
            return None
        if self._detector is None or self._detector[0] != limits:
            self._close_detector()
            self._detector = (limits, self._model.new_detector(limits))
        return self._detector[1]

    def close(self) -> None:
        """Free the networks."""
        self._close_detector()
        if self._model is not None:
            self._model.close()
        self.classifier.close()

    def _close_detector(self) -> None:
        if self._detector is not None:
            self._detector[1].close()
            self._detector = None


PipelineKey = tuple["DetectionPlan", "InferencePlan"]


def _load_models(key: PipelineKey) -> Models:
    from ferstream.pipeline.models import Models

    return Models(detection=key[0], inference=key[1])


def still_pool() -> Pool[StillKey, StillNetworks]:
    """Return the networks for still pictures: for ``MOST_STILL_CALLS`` calls at a time."""
    return _POOLS.still


def pipeline_pool() -> Pool[PipelineKey, Models]:
    """Return the networks for recordings and cameras: a pipeline has networks of its own while it runs."""
    return _POOLS.pipeline


class _Pools:
    def __init__(self) -> None:
        most = min(len(os.sched_getaffinity(0)), MOST_STILL_CALLS)
        self.still = Pool(make=StillNetworks, most_in_use=most, keep=most)
        self.pipeline = Pool(make=_load_models, most_in_use=1_000_000, keep=KEPT_PIPELINES)


_POOLS = _Pools()
_OF_PARENTS: list[_Pools] = []
"""The networks of the processes from which this one was forked: kept, because freeing them would wait for threads that do not
exist here."""


def unload_models() -> None:
    """Free the networks that ``analyze``, ``replay`` and ``watch`` keep for their next calls; the next call loads them again.

    Networks in use are not concerned. At the end of the program this happens by itself.
    """
    _POOLS.still.clear()
    _POOLS.pipeline.clear()


def _forget_parent() -> None:
    global _POOLS
    _OF_PARENTS.append(_POOLS)
    _POOLS = _Pools()


os.register_at_fork(after_in_child=_forget_parent)
atexit.register(unload_models)
