"""Tiny model bundles for tests, with random weights from a fixed seed; made in milliseconds (OpenVINO) or seconds (Keras)."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ferstream.domain.emotion import LABELS
from ferstream.inference.bundle import KERAS_FILE, OPENVINO_BIN, OPENVINO_XML, Bundle, write_bundle


def tiny_openvino_bundle(directory: Path, *, name: str = "tiny", version: str = "1.0.0", **fields: Any) -> Bundle:
    """Write a bundle with OpenVINO files only, into a subfolder of ``directory``; does not need Keras."""
    with tempfile.TemporaryDirectory() as scratch:
        xml = Path(scratch) / OPENVINO_XML
        write_tiny_ir(xml)
        files = {OPENVINO_XML: xml, OPENVINO_BIN: xml.with_suffix(".bin")}
        return write_bundle(directory=directory / name / version, files=files, card="# Tiny\n", name=name, version=version, **fields)


def write_tiny_ir(xml: Path, *, classes: int = len(LABELS), dtype: str = "u8") -> None:
    """Write an OpenVINO model of one convolution and a dense layer with softmax."""
    import openvino
    from openvino import opset13 as ops

    random = np.random.default_rng(7)
    given = ops.parameter([-1, 48, 48, 1], openvino.Type(np.dtype(np.uint8 if dtype == "u8" else np.float32)), name="crops")
    grey = ops.transpose(ops.convert(given, "f32"), np.array([0, 3, 1, 2]))
    scaled = ops.multiply(grey, np.float32(1 / 255))
    kernel = ops.constant(random.normal(0, 1, (8, 1, 5, 5)).astype(np.float32))
    maps = ops.relu(ops.convolution(scaled, kernel, [4, 4], [0, 0], [0, 0], [1, 1]))
    flat = ops.reshape(maps, np.array([0, -1]), special_zero=True)
    dense = ops.constant(random.normal(0, 0.05, (8 * 11 * 11, classes)).astype(np.float32))
    result = ops.softmax(ops.matmul(flat, dense, False, False), 1)
    openvino.save_model(openvino.Model([result], [given], "tiny"), xml, compress_to_fp16=True)


def tiny_network(*, softmax: bool = False) -> Any:
    """Return a Keras network from (48, 48, 1) 0..255 to seven logits, or probabilities."""
    import keras

    keras.utils.set_random_seed(7)
    layers: list[Any] = [
        keras.Input((48, 48, 1)),
        keras.layers.Rescaling(1 / 127.5, -1.0),
        keras.layers.Conv2D(4, 5, strides=3, use_bias=False),
        keras.layers.BatchNormalization(),
        keras.layers.ReLU(),
        keras.layers.Dropout(0.5),
        keras.layers.Flatten(),
        keras.layers.Dense(len(LABELS), activation="softmax" if softmax else None),
    ]
    return keras.Sequential(layers, name="tiny_network")


def in_precision(policy: str, build: Callable[[], Any]) -> Any:
    """Build a Keras network under a dtype policy."""
    import keras

    before = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy(policy)
    try:
        return build()
    finally:
        keras.mixed_precision.set_global_policy(before)


def tiny_full_bundle(directory: Path, *, name: str = "tiny-full", version: str = "1.0.0") -> Bundle:
    """Write a bundle with Keras and OpenVINO files of the same network."""
    from ferstream.training.export.bundle_writer import BundleTarget, save_bundle
    from ferstream.training.export.serving import serving_model

    target = BundleTarget(directory=directory / name / version, name=name, version=version)
    return save_bundle(serving_model(tiny_network()), target)


def scripted_keras_bundle(directory: Path) -> Bundle:
    """Write a bundle whose ``model.keras`` is not a model, for tests that load the network themselves."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / KERAS_FILE
    path.write_bytes(b"not a model")
    return write_bundle(directory=directory / "scripted-keras" / "1.0.0", files={KERAS_FILE: path}, name="scripted-keras", version="1.0.0")


def keras_only(bundle: Bundle, directory: Path) -> Bundle:
    """Write a copy of a bundle without its OpenVINO files."""
    target = directory / "keras-only" / "1.0.0"
    return write_bundle(directory=target, files={KERAS_FILE: bundle.file(KERAS_FILE)}, name="keras-only", version="1.0.0")


def random_crops(count: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return (count, 48, 48) uint8 noise with a different mean each."""
    random = np.random.default_rng(seed)
    noise = random.integers(0, 128, (count, 48, 48), dtype=np.uint8)
    return noise + random.integers(0, 128, (count, 1, 1), dtype=np.uint8)
