"""Run an exported file in its own runtime, to compare it with Keras: faces (n, 48, 48) uint8 in, probabilities (n, 7) float32 out."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ferstream.inference.classifier import Crops, Probabilities

_CHUNK = 256


def run_keras(served: keras.Model, faces: Crops) -> Probabilities:
    """Run the Keras model in chunks that fit in memory."""
    return _in_chunks(lambda part: keras.ops.convert_to_numpy(served(part, training=False)), faces)


def run_openvino(path: Path, faces: Crops) -> Probabilities:
    """Run OpenVINO IR (.xml) on the CPU, in the precision that the daemon uses, one face at a time."""
    import openvino

    core = openvino.Core()
    model = core.read_model(path)
    model.reshape([1, *faces.shape[1:], 1])
    request = core.compile_model(model, "CPU", {"PERFORMANCE_HINT": "LATENCY"}).create_infer_request()
    return _rows([request.infer({0: face[np.newaxis, :, :, np.newaxis]})[0][0] for face in faces])


def run_onnx(path: Path, faces: Crops) -> Probabilities:
    """Run an ONNX file on ONNX Runtime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return _in_chunks(lambda part: session.run(None, {name: part})[0], faces)


def run_litert(path: Path, faces: Crops) -> Probabilities:
    """Run a LiteRT file in TensorFlow's interpreter, one face at a time."""
    import tensorflow as tf

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a notice that the interpreter moves to another package
        interpreter = tf.lite.Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    given, result = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def one(face: Any) -> Any:
        interpreter.set_tensor(given, face[np.newaxis, :, :, np.newaxis])
        interpreter.invoke()
        return interpreter.get_tensor(result)[0]

    return _rows([one(face) for face in faces])


def run_savedmodel(path: Path, faces: Crops) -> Probabilities:
    """Run a SavedModel through its ``serve`` endpoint."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    return _in_chunks(lambda part: loaded.serve(tf.constant(part)).numpy(), faces)


def _in_chunks(call: Any, faces: Crops) -> Probabilities:
    return _rows([row for first in range(0, len(faces), _CHUNK) for row in call(faces[first : first + _CHUNK, :, :, np.newaxis])])


def _rows(rows: list[Any]) -> Probabilities:
    return np.asarray(rows, np.float32)
