"""The table of face detectors.

A new detector is one file with a class that implements ``DetectorModel``, and one row in ``DETECTORS``. A loader
imports its library itself, so that importing this module loads none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ferstream.detection.detector import DetectorModel


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorOptions:
    """How a detector is loaded.

    Attributes:
        weights: File of the weights; None for those that come with the detector's package.
        device: OpenVINO's name of the device, or ``auto``.
        workers: Number of worker threads that detect at the same time.
        keep_sizes: Largest number of picture sizes that are kept in memory; 0 keeps all.
    """

    weights: str | None = None
    device: str = "auto"
    workers: int = 1
    keep_sizes: int = 0


Loader = Callable[[DetectorOptions], DetectorModel]


def _load_yunet(options: DetectorOptions) -> DetectorModel:
    from ferstream.detection.weights import find_weights
    from ferstream.detection.yunet import YuNetModel

    return YuNetModel(weights=find_weights(options.weights), device=options.device, workers=options.workers, keep_sizes=options.keep_sizes)


DETECTORS: Mapping[str, Loader] = MappingProxyType({"yunet": _load_yunet})
"""Loader of each detector by name."""

DEFAULT_DETECTOR = "yunet"


def load_detector(
    model: str | None = None,
    *,
    device: str = "auto",
    workers: int = 1,
    keep_sizes: int = 0,
    detectors: Mapping[str, Loader] = DETECTORS,
) -> DetectorModel:
    """Load a face detector.

    Args:
        model: A name in ``detectors``, or the file of other weights for the default detector. None, an empty text and ``auto`` mean the
            default detector with its own weights.
        device: OpenVINO's name of the device, or ``auto``.
        workers: Number of worker threads that detect at the same time.
        keep_sizes: Largest number of picture sizes that are kept in memory, for pictures of many sizes; 0 keeps all.
        detectors: The table of loaders.

    Raises:
        ModelError: The weights are missing or are not those of the detector.
    """
    if model is not None and model in detectors:
        return detectors[model](DetectorOptions(device=device, workers=workers, keep_sizes=keep_sizes))
    weights = None if model in {None, "", "auto"} else model
    return detectors[DEFAULT_DETECTOR](DetectorOptions(weights=weights, device=device, workers=workers, keep_sizes=keep_sizes))
