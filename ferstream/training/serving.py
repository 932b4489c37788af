"""From a trained network to the model that is served, and to its bundle.

Served model: (n, 48, 48, 1) uint8 0..255 in, (n, 7) float32 calibrated probabilities out, in ``LABELS``
order, float32 throughout, temperature and (if wanted) the mirror average inside. Nothing is left to do outside
of it, so every backend and every export gives the same numbers.
"""

from __future__ import annotations

import importlib.metadata
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from ferstream.errors import ModelError
from ferstream.inference.alignment import FER2013_5PT
from ferstream.inference.bundle import KERAS_FILE, OPENVINO_BIN, OPENVINO_XML, Bundle, write_bundle
from ferstream.inference.classifier import CROP_PX
from ferstream.training.convert import to_openvino

_SMALLEST = 1e-7
_LIBRARIES = ("ferstream", "keras", "tensorflow", "jax", "torch", "openvino", "numpy")


def serving_model(
    network: keras.Model, *, logits: bool | None = None, temperature: float = 1.0, mirror: bool = False, order: Sequence[int] | None = None
) -> keras.Model:
    """Wrap a network into the served form.

    Args:
        network: (n, 48, 48, 1) grey 0..255 in (normalisation inside), (n, 7) out; its dtype policy may be a
            mixed one: the copy made here computes in float32.
        logits: Whether it gives logits; None looks at its last layer (softmax or not).
        temperature: Logits are divided by it before the softmax.
        mirror: Whether logits are averaged over the crop and its mirror image (twice the cost).
        order: ``order[i]`` is the output of the network that is ``LABELS[i]``; None when it is in order already.

    Raises:
        ModelError: Its input or output has another shape.
    """
    _check_shapes(network)
    plain = _in_float32(network)
    given = keras.Input((CROP_PX, CROP_PX, 1), dtype="uint8", name="crops")
    grey = keras.layers.Rescaling(1.0, dtype="float32", name="as_float")(given)
    logits = not _ends_in_softmax(plain) if logits is None else logits
    scores = _scores(plain, grey, logits=logits)
    if mirror:
        scores = (scores + _scores(plain, keras.ops.flip(grey, axis=2), logits=logits)) * 0.5
    if order is not None:
        scores = keras.ops.take(scores, list(order), axis=1)
    if temperature != 1.0:
        scores = scores * (1.0 / temperature)
    result = keras.layers.Softmax(dtype="float32", name="probabilities")(scores)
    return keras.Model(given, result, name="served")


def save_bundle(
    served: keras.Model,
    *,
    directory: Path,
    name: str,
    version: str,
    temperature: float = 1.0,
    metrics: Mapping[str, Any] | None = None,
    recipe: Mapping[str, Any] | None = None,
    card: str = "",
    alignment: str = FER2013_5PT,
    replace: bool = False,
) -> Bundle:
    """Write a served model as a bundle: ``model.keras``, OpenVINO IR (FP16 weights), manifest and card.

    Args:
        served: What ``serving_model`` returned.
        directory: Target, ``.../<name>/<version>``.
        name: Name of the model.
        version: Its version.
        temperature: Recorded in the manifest; it is inside ``served`` already.
        metrics: Numbers by evaluation.
        recipe: How it was made.
        card: Text of ``CARD.md``.
        alignment: Id of its crop geometry.
        replace: Whether an existing bundle is replaced.

    Raises:
        BundleError: The target exists or the disk refuses.
        ModelError: The conversion failed.
    """
    with tempfile.TemporaryDirectory(prefix="ferstream-bundle-") as scratch:
        keras_file = Path(scratch) / KERAS_FILE
        served.save(keras_file)
        xml = to_openvino(served, Path(scratch) / OPENVINO_XML)
        return write_bundle(
            directory=directory,
            files={KERAS_FILE: keras_file, OPENVINO_XML: xml, OPENVINO_BIN: xml.with_suffix(".bin")},
            card=card,
            replace=replace,
            name=name,
            version=version,
            alignment=alignment,
            temperature=temperature,
            metrics=dict(metrics or {}),
            recipe=dict(recipe or {}),
            created_with=library_versions(),
        )


def library_versions() -> dict[str, str]:
    """Return the versions of the installed libraries that shape a model."""
    versions = {}
    for library in _LIBRARIES:
        try:
            versions[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _scores(network: keras.Model, grey: Any, *, logits: bool) -> Any:
    result = network(grey, training=False)
    return result if logits else keras.ops.log(keras.ops.maximum(result, _SMALLEST))


def _check_shapes(network: keras.Model) -> None:
    given, result = tuple(network.input_shape), tuple(network.output_shape)
    if given[1:] != (CROP_PX, CROP_PX, 1) or len(result) != 2 or result[1] is None:
        msg = f"network {network.name}: takes {given} and gives {result}, expected (None, 48, 48, 1) and (None, classes)"
        raise ModelError(msg)


def _in_float32(network: keras.Model) -> keras.Model:
    def copy(layer: keras.layers.Layer) -> keras.layers.Layer:
        config = layer.get_config()
        config["dtype"] = "float32"
        return layer.__class__.from_config(config)

    plain = keras.models.clone_model(network, clone_function=copy, recursive=True)
    plain.set_weights(network.get_weights())
    # A clone keeps the optimizer, whose state is twice the size of the weights, and would take it into model.keras.
    return keras.Model(plain.inputs[0], plain.outputs[0], name=network.name)


def _ends_in_softmax(network: keras.Model) -> bool:
    last = network.layers[-1]
    if isinstance(last, keras.Model):
        return _ends_in_softmax(last)
    activation = getattr(last, "activation", None)
    return isinstance(last, keras.layers.Softmax) or getattr(activation, "__name__", "") == "softmax"
