"""What a face costs on one core, beside a plain ResNet measured in the same run.

    python bench/face_cost.py [MODEL ...] [--calls 300] [--json FILE]

OpenVINO on the CPU, one thread, one crop a call, as the daemon runs it. Calls of all networks alternate, and the fastest of each
counts: on a shared machine everything else only adds. The reference is a residual network of two 3x3 convolutions a
stage, widths 16 to 320, about 1.6 M parameters, random weights: its cost does not depend on them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from harness import save

from ferstream.inference.bundle import OPENVINO_XML, load_bundle

REFERENCE = "reference ResNet"
WIDTHS = (16, 32, 64, 128, 320)
CONFIG = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=["emotion-edge", "emotion-small", "emotion-edge-int8", "emotion-small-int8"])
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    calls: dict[str, Callable[[], None]] = {}
    for precision in ("as the CPU likes", "f32"):
        hint = {} if precision != "f32" else {"INFERENCE_PRECISION_HINT": "f32"}
        for model in options.models:
            calls[f"{model}, {precision}"] = call_of(load_bundle(model).file(OPENVINO_XML), hint)
        calls[f"{REFERENCE}, {precision}"] = call_of(reference(), hint)
    best = fastest(calls, options.calls)
    for name, seconds in best.items():
        base = best[f"{REFERENCE}, {name.rsplit(', ', 1)[1]}"]
        print(f"{name:40} {1000 * seconds:6.3f} ms   {seconds / base:5.2f} x the reference")
    save({"calls": options.calls, "fastest_ms": {name: round(1000 * seconds, 4) for name, seconds in best.items()}}, options.json)


def fastest(calls: dict[str, Callable[[], None]], turns: int) -> dict[str, float]:
    """Seconds of the fastest call of each, called in turns."""
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(turns):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            best[name] = min(best[name], time.perf_counter() - started)
    return best


def call_of(model: Any, hint: dict[str, str]) -> Callable[[], None]:
    core = openvino.Core()
    network = core.read_model(model) if isinstance(model, Path) else model
    network.reshape([1, 48, 48, 1])
    compiled = core.compile_model(network, "CPU", CONFIG | hint)
    request = compiled.create_infer_request()
    kind = np.uint8 if compiled.inputs[0].element_type == openvino.Type.u8 else np.float32
    crop = np.random.default_rng(1).integers(0, 255, (1, 48, 48, 1)).astype(kind)
    return lambda: request.infer([crop])


def reference() -> Any:
    """The plain network, as OpenVINO sees it."""
    from ferstream.training.keras_import import import_keras

    import_keras()
    import keras
    from keras import layers

    from ferstream.training.export.convert import openvino_model

    def norm(x: Any, width: int, size: int, stride: int = 1) -> Any:
        return layers.BatchNormalization()(layers.Conv2D(width, size, strides=stride, padding="same", use_bias=False)(x))

    given = keras.Input((48, 48, 1))
    x = layers.ReLU()(norm(given, WIDTHS[0], 3))
    for place, width in enumerate(WIDTHS):
        stride = 2 if place else 1
        y = norm(layers.ReLU()(norm(x, width, 3, stride)), width, 3)
        x = layers.ReLU()(layers.Add()([y, norm(x, width, 1, stride) if place else x]))
    network = keras.Model(given, layers.Dense(7, activation="softmax")(layers.GlobalAveragePooling2D()(x)))
    print(f"{REFERENCE}: {network.count_params() / 1e6:.2f} M parameters")
    return openvino_model(network)


if __name__ == "__main__":
    main()
