"""Convert a served Keras model to OpenVINO IR (FP16, INT8), ONNX, LiteRT, SavedModel and JSON."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np

from ferstream.domain.face import FACE_SIZE_PX
from ferstream.errors import ModelError
from ferstream.inference.classifier import Crops

if TYPE_CHECKING:
    import openvino


def to_openvino(served: keras.Model, path: Path) -> Path:
    """Write OpenVINO IR with FP16 weights: ``path`` (.xml) and the .bin beside it.

    Raises:
        ModelError: OpenVINO does not support an operation of the model.
    """
    if keras.backend.backend() != "tensorflow":
        return _on_tensorflow(served, path)
    import openvino

    openvino.save_model(openvino_model(served), path, compress_to_fp16=True)
    return path


def to_openvino_int8(served: keras.Model, path: Path, faces: Crops) -> Path:
    """Write INT8 OpenVINO IR, quantised by NNCF (post-training quantisation).

    Args:
        served: The model.
        path: Target, .xml.
        faces: (n, 48, 48) uint8, some hundreds of varied faces to calibrate the ranges on.
    """
    import nncf
    import openvino

    samples = [face[np.newaxis, :, :, np.newaxis] for face in faces]
    model = openvino_model(served)
    model.reshape([1, FACE_SIZE_PX, FACE_SIZE_PX, 1])
    quantised = nncf.quantize(
        model,
        nncf.Dataset(samples),
        subset_size=len(samples),
        preset=nncf.QuantizationPreset.MIXED,
        fast_bias_correction=False,
        ignored_scope=nncf.IgnoredScope(names=_before_features(model), validate=False),
    )
    openvino.save_model(quantised, path, compress_to_fp16=True)
    return path


def _before_features(model: openvino.Model) -> list[str]:
    """Return the names of the operations up to the first convolution, which stay in floating point.

    The normalisation of the picture in 8 bits alone cost one point of accuracy (docs/adr/0010-inference-backends.md).
    """
    names = []
    for operation in model.get_ordered_ops():
        names.append(operation.get_friendly_name())
        if operation.get_type_name() == "Convolution":
            return names
    return []


def to_savedmodel(served: keras.Model, path: Path) -> Path:
    """Write a TensorFlow SavedModel folder with one ``serve`` endpoint."""
    _export(served, path, "tf_saved_model")
    return path


def to_onnx(served: keras.Model, path: Path) -> Path:
    """Write ONNX with a dynamic batch size."""
    _export(served, path, "onnx")
    return path


def to_litert(served: keras.Model, path: Path) -> Path:
    """Write LiteRT (.tflite), float32."""
    _export(served, path, "litert")
    return path


def to_json(served: keras.Model, path: Path) -> Path:
    """Write the architecture without weights, as JSON that ``keras.models.model_from_json`` reads."""
    path.write_text(str(served.to_json(indent=1)) + "\n", encoding="utf-8")
    return path


def openvino_model(served: keras.Model) -> openvino.Model:
    """Convert to an OpenVINO model in memory, by way of a SavedModel.

    Raises:
        ModelError: OpenVINO does not support an operation of the model.
    """
    # Not openvino.convert_model: that name is missing where ferstream.inference.openvino was imported first.
    from openvino.tools.ovc import convert_model

    with tempfile.TemporaryDirectory(prefix="ferstream-export-") as scratch:
        folder = to_savedmodel(served, Path(scratch) / "saved")
        try:
            model = convert_model(folder)
        except RuntimeError as exc:
            raise ModelError(f"model {served.name}: OpenVINO cannot convert it: {exc}") from exc
    model.inputs[0].get_tensor().set_names({"crops"})
    model.outputs[0].get_tensor().set_names({"probabilities"})
    return model


def _on_tensorflow(served: keras.Model, path: Path) -> Path:
    """Convert in a second process with Keras on TensorFlow, because OpenVINO cannot read what Keras writes on JAX or torch."""
    with tempfile.TemporaryDirectory(prefix="ferstream-export-") as scratch:
        saved = Path(scratch) / "model.keras"
        served.save(saved)
        command = [sys.executable, "-m", __name__, str(saved), str(path)]
        done = subprocess.run(command, env={**os.environ, "KERAS_BACKEND": "tensorflow"}, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:] or [f"exit {done.returncode}"]
        raise ModelError(
            f"model {served.name}: cannot be converted for OpenVINO, which needs TensorFlow beside {keras.backend.backend()}: {reason[0]}"
        )
    return path


def _export(served: keras.Model, path: Path, form: str) -> None:
    # Exporters fail on a loaded model that was never called.
    served(np.zeros((1, FACE_SIZE_PX, FACE_SIZE_PX, 1), np.uint8), training=False)
    try:
        served.export(str(path), format=form, verbose=False)
    except (ImportError, ValueError, RuntimeError, NotImplementedError) as exc:
        msg = f"model {served.name}: Keras on {keras.backend.backend()} cannot write {form}: {str(exc).splitlines()[0]}"
        raise ModelError(msg) from exc


if __name__ == "__main__":
    to_openvino(keras.saving.load_model(sys.argv[1], compile=False), Path(sys.argv[2]))
