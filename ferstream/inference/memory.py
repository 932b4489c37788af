"""Memory in use on the accelerator of the classifier, for its metric. Any thread; loads no library."""

from __future__ import annotations

import sys
from typing import Any


def accelerator_memory_bytes(backend: str) -> int | None:
    """Return the bytes in use on the accelerator of a backend.

    Args:
        backend: As ``Classifier.backend`` returns it.

    Returns:
        Bytes; 0 without an accelerator; None where it is unknown (OpenVINO on a GPU or NPU, Keras on JAX or torch).
    """
    if backend == "openvino:CPU":
        return 0
    tensorflow = sys.modules.get("tensorflow")
    if backend != "keras:tensorflow" or tensorflow is None:
        return None
    return _tensorflow_bytes(tensorflow)


def _tensorflow_bytes(tensorflow: Any) -> int:
    config = tensorflow.config
    names = [device.name.removeprefix("/device:") for device in config.list_logical_devices("GPU")]
    return sum(int(config.experimental.get_memory_info(name)["current"]) for name in names)
