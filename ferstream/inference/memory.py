"""What the classifier holds on its accelerator, for the metric. Any thread; loads no library by itself."""

from __future__ import annotations

import sys
from typing import Any


def accelerator_memory_bytes(backend: str) -> int | None:
    """Bytes in use on the accelerator behind ``backend`` (see ``Classifier.backend``).

    0 where there is none; None where the library does not tell (OpenVINO's GPU and NPU, JAX, torch).
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
