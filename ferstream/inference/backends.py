"""Choosing what computes a bundle: OpenVINO, or Keras on an NVIDIA GPU.

Neither library is imported before it is chosen, so that the daemon on a CPU box starts without TensorFlow.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Literal

from ferstream.errors import BundleError
from ferstream.inference.bundle import KERAS_FILE, OPENVINO_XML, Bundle
from ferstream.inference.classifier import Classifier

Backend = Literal["auto", "openvino", "keras"]
BACKENDS: tuple[str, ...] = ("auto", "openvino", "keras")

_KERAS_BACKENDS = ("tensorflow", "jax", "torch")


def open_classifier(
    bundle: Bundle, *, backend: str = "auto", device: str = "auto", threads: int = 1, max_batch: int = 32, deterministic: bool = False
) -> Classifier:
    """Open a bundle's classifier.

    Args:
        bundle: A verified bundle.
        backend: ``auto``, ``openvino`` or ``keras``.
        device: OpenVINO's device (``auto`` is ``CPU``); Keras picks its own.
        threads: CPU threads of OpenVINO.
        max_batch: Most crops in a call.
        deterministic: Whether a row must not depend on how crops were batched (replay). OpenVINO always
            keeps that; Keras then runs one crop at a time.

    Raises:
        BundleError: The backend is unknown, not installed, or the bundle has no file for it.
    """
    if choose_backend(bundle, backend) == "keras":
        return _open_keras(bundle, max_batch=max_batch, deterministic=deterministic)
    from ferstream.inference.openvino import OpenVinoClassifier

    return OpenVinoClassifier(bundle=bundle, device="CPU" if device == "auto" else device, streams=threads, max_batch=max_batch)


def choose_backend(bundle: Bundle, backend: str = "auto") -> str:
    """Return ``openvino`` or ``keras``: what is asked for, or for ``auto`` Keras only where an NVIDIA GPU and its library are.

    Raises:
        BundleError: The backend is unknown.
    """
    if backend not in BACKENDS:
        raise BundleError(f"inference.backend {backend!r} is unknown; choose one of {', '.join(BACKENDS)}")
    if backend != "auto":
        return backend
    if not bundle.has(OPENVINO_XML):
        return "keras"
    return "keras" if bundle.has(KERAS_FILE) and nvidia_gpu_visible() and keras_installed() else "openvino"


def nvidia_gpu_visible() -> bool:
    """Tell whether an NVIDIA GPU is here and not hidden by CUDA_VISIBLE_DEVICES, without loading CUDA."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in {"", "-1", "none", "NoDevFiles"}:
        return False
    return any(Path("/proc/driver/nvidia/gpus").glob("*")) or Path("/dev/nvidia0").exists() or Path("/dev/dxg").exists()


def keras_installed() -> bool:
    """Tell whether Keras and the backend that KERAS_BACKEND names (default tensorflow) are installed, without importing them."""
    chosen = os.environ.get("KERAS_BACKEND", _KERAS_BACKENDS[0])
    return all(importlib.util.find_spec(name) is not None for name in ("keras", chosen))


def _open_keras(bundle: Bundle, *, max_batch: int, deterministic: bool) -> Classifier:
    if not keras_installed():
        msg = (
            "inference.backend keras: Keras or its backend is not installed; install ferstream[keras] or set inference.backend to openvino"
        )
        raise BundleError(msg)
    from ferstream.inference.keras import KerasClassifier

    return KerasClassifier(bundle=bundle, max_batch=max_batch, deterministic=deterministic)
