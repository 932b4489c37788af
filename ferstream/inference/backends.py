"""Choosing the library that runs a model bundle: OpenVINO, or Keras on an NVIDIA GPU.

A library is imported only when it is chosen, so that a daemon without a GPU starts without TensorFlow.
"""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ferstream.errors import BundleError
from ferstream.inference.bundle import KERAS_FILE, OPENVINO_XML, Bundle
from ferstream.inference.classifier import Classifier
from ferstream.runtime.program import install_command

Backend = Literal["auto", "openvino", "keras"]
BACKENDS: tuple[str, ...] = ("auto", "openvino", "keras")

_KERAS_BACKENDS = ("tensorflow", "jax", "torch")


@dataclass(frozen=True, slots=True)
class Hardware:
    """What Keras needs, and whether this machine has it.

    Attributes:
        nvidia_gpu: Whether an NVIDIA GPU is visible.
        keras: Whether Keras and its backend are installed.
    """

    nvidia_gpu: bool
    keras: bool

    @classmethod
    def detect(cls) -> Hardware:
        """Look at this machine, without loading CUDA or Keras."""
        return cls(nvidia_gpu=nvidia_gpu_visible(), keras=keras_installed())


def open_classifier(
    bundle: Bundle,
    *,
    backend: str = "auto",
    device: str = "auto",
    threads: int = 1,
    max_batch: int = 32,
    deterministic: bool = False,
    hardware: Hardware | None = None,
) -> Classifier:
    """Open the classifier of a bundle.

    Args:
        bundle: A verified bundle.
        backend: ``auto``, ``openvino`` or ``keras``.
        device: OpenVINO's device (``auto`` is ``CPU``); Keras chooses its own.
        threads: CPU threads of OpenVINO.
        max_batch: Largest number of crops per call.
        deterministic: Whether a row must not depend on the other crops of a call (replay). With OpenVINO it never
            does; Keras then runs one crop at a time.
        hardware: What the machine has; None to look.

    Raises:
        BundleError: The backend is unknown, not installed, or the bundle has no file for it.
    """
    if choose_backend(bundle, backend, hardware) == "keras":
        return _open_keras(bundle, hardware, max_batch=max_batch, deterministic=deterministic)
    from ferstream.inference.openvino import OpenVinoClassifier

    return OpenVinoClassifier(bundle=bundle, device="CPU" if device == "auto" else device, streams=threads, max_batch=max_batch)


def choose_backend(bundle: Bundle, backend: str = "auto", hardware: Hardware | None = None) -> str:
    """Return ``openvino`` or ``keras``.

    ``auto`` is Keras if the bundle has a Keras file and either no OpenVINO file, or Keras and an NVIDIA GPU are there.

    Args:
        bundle: A verified bundle.
        backend: ``auto``, ``openvino`` or ``keras``.
        hardware: What the machine has; None to look.

    Raises:
        BundleError: The backend is unknown.
    """
    if backend not in BACKENDS:
        raise BundleError(f"inference.backend {backend!r} is unknown; choose one of {', '.join(BACKENDS)}")
    if backend != "auto":
        return backend
    if not bundle.has(OPENVINO_XML):
        return "keras"
    if not bundle.has(KERAS_FILE):
        return "openvino"
    found = hardware or Hardware.detect()
    return "keras" if found.nvidia_gpu and found.keras else "openvino"


def nvidia_gpu_visible() -> bool:
    """Return whether there is an NVIDIA GPU that CUDA_VISIBLE_DEVICES does not hide, without loading CUDA."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in {"", "-1", "none", "NoDevFiles"}:
        return False
    return any(Path("/proc/driver/nvidia/gpus").glob("*")) or Path("/dev/nvidia0").exists() or Path("/dev/dxg").exists()


def keras_installed() -> bool:
    """Return whether Keras and the backend in KERAS_BACKEND (default tensorflow) are installed, without importing them."""
    chosen = os.environ.get("KERAS_BACKEND", _KERAS_BACKENDS[0])
    return all(importlib.util.find_spec(name) is not None for name in ("keras", chosen))


def _open_keras(bundle: Bundle, hardware: Hardware | None, *, max_batch: int, deterministic: bool) -> Classifier:
    if not (hardware.keras if hardware else keras_installed()):
        how = install_command("keras", "tensorflow", extra="keras")
        raise BundleError(
            f"inference.backend keras: Keras or its backend is not installed; set inference.backend to openvino, or install with: {how}"
        )
    from ferstream.inference.keras import KerasClassifier

    return KerasClassifier(bundle=bundle, max_batch=max_batch, deterministic=deterministic)
