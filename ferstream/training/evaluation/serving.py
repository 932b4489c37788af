"""From a trained network to the model that is served, and to its bundle.

Served model: (n, 48, 48, 1) uint8 0..255 in, (n, 7) float32 calibrated probabilities out, in ``LABELS``
order, float32 throughout, temperature and (if wanted) the mirror average inside. Nothing is left to do outside
of it, so every backend and every export gives the same numbers.
"""

from __future__ import annotations

import importlib.metadata
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from ferstream.domain.face import FACE_SIZE_PX
from ferstream.errors import ModelError
from ferstream.inference.alignment import FER2013_5PT
from ferstream.inference.bundle import KERAS_FILE, OPENVINO_BIN, OPENVINO_XML, Bundle, write_bundle
from ferstream.training.export.convert import to_openvino

Measure = Callable[[Bundle], Mapping[str, Any]]
"""From a finished bundle to the metrics that its manifest records."""

_SMALLEST = 1e-7
_PROBABILITIES = frozenset({"softmax", "sigmoid"})
_LIBRARIES = ("ferstream", "keras", "tensorflow", "jax", "torch", "openvino", "numpy")


def serving_model(
    network: keras.Model, *, logits: bool | None = None, temperature: float = 1.0, mirror: bool = False, order: Sequence[int] | None = None
) -> keras.Model:
    """Wrap a network into the served form.

    Args:
        network: (n, 48, 48, 1) grey 0..255 in (normalisation inside), (n, 7) out; its dtype policy may be a
            mixed one: the copy made here computes in float32.
        logits: Whether it gives logits; None looks at its last layer: softmax and sigmoid give
            probabilities (sigmoids are scaled to sum 1), anything else logits.
        temperature: Logits are divided by it before the softmax.
        mirror: Whether logits are averaged over the crop and its mirror image (twice the cost).
        order: ``order[i]`` is the output of the network that is ``LABELS[i]``; None when it is in order already.

    Raises:
        ModelError: Its input or output has another shape.
    """
    _check_shapes(network)
    plain = _in_float32(network)
    given = keras.Input((FACE_SIZE_PX, FACE_SIZE_PX, 1), dtype="uint8", name="crops")
    grey = keras.layers.Rescaling(1.0, dtype="float32", name="as_float")(given)
    logits = last_activation(plain) not in _PROBABILITIES if logits is None else logits
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
    measure: Measure | None = None,
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
        measure: Asked about the finished files before the bundle is placed; what it returns is added to ``metrics``.

    Raises:
        BundleError: The target exists or the disk refuses.
        ModelError: The conversion failed.
    """
    with tempfile.TemporaryDirectory(prefix="ferstream-bundle-") as scratch:
        keras_file = Path(scratch) / KERAS_FILE
        served.save(keras_file)
        xml = to_openvino(served, Path(scratch) / OPENVINO_XML)
        return write_measured(
            measure,
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
        )


def write_measured(
    measure: Measure | None, *, directory: Path, card: str, replace: bool, metrics: Mapping[str, Any] | None = None, **fields: Any
) -> Bundle:
    """Write a bundle whose metrics are measured on its own files first; see ``write_bundle`` for the arguments."""
    fields["created_with"] = library_versions()
    known = dict(metrics or {})
    if measure is not None:
        with tempfile.TemporaryDirectory(prefix="ferstream-draft-") as scratch:
            known |= measure(write_bundle(directory=Path(scratch) / "draft", **fields))
    return write_bundle(directory=directory, card=card, replace=replace, metrics=known, **fields)


def last_activation(network: keras.Model) -> str:
    """Return the name of the activation that a network ends in, ``linear`` where there is none."""
    last = network.layers[-1]
    if isinstance(last, keras.Model):
        return last_activation(last)
    if isinstance(last, keras.layers.Softmax):
        return "softmax"
    return str(getattr(getattr(last, "activation", None), "__name__", "linear"))


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
    if given[1:] != (FACE_SIZE_PX, FACE_SIZE_PX, 1) or len(result) != 2 or result[1] is None:
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
