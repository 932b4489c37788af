"""The served form of a network, in which every backend and every export runs it.

Input: (n, 48, 48, 1) uint8 0..255. Output: (n, 7) float32 calibrated probabilities in ``LABELS`` order. Normalisation,
temperature, softmax and (optionally) the average over the mirror image are inside the model, in float32 throughout.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from ferstream.domain.face import FACE_SIZE_PX
from ferstream.errors import ModelError

_SMALLEST = 1e-7
_PROBABILITIES = frozenset({"softmax", "sigmoid"})


def serving_model(
    network: keras.Model, *, logits: bool | None = None, temperature: float = 1.0, mirror: bool = False, order: Sequence[int] | None = None
) -> keras.Model:
    """Wrap a network into the served form.

    Args:
        network: (n, 48, 48, 1) grey 0..255 in, with normalisation inside; (n, 7) out. Its dtype policy may be a mixed
            one: the served model is a copy in float32.
        logits: Whether its outputs are logits. None decides by the last activation: softmax and sigmoid give
            probabilities (sigmoids are scaled to sum 1), anything else gives logits.
        temperature: Divides the logits before the softmax.
        mirror: Whether logits are averaged over the crop and its mirror image, at twice the cost.
        order: ``order[i]`` is the index of the output for ``LABELS[i]``; None: the outputs are in ``LABELS`` order.

    Raises:
        ModelError: The network's input or output has another shape.
    """
    _check_shapes(network)
    plain = _in_float32(network)
    crops = keras.Input((FACE_SIZE_PX, FACE_SIZE_PX, 1), dtype="uint8", name="crops")
    grey = keras.layers.Rescaling(1.0, dtype="float32", name="as_float")(crops)
    logits = last_activation(plain) not in _PROBABILITIES if logits is None else logits
    scores = _mirror_average(plain, grey, logits=logits) if mirror else _scores(plain, grey, logits=logits)
    if order is not None:
        scores = keras.ops.take(scores, list(order), axis=1)
    if temperature != 1.0:
        scores = scores * (1.0 / temperature)
    result = keras.layers.Softmax(dtype="float32", name="probabilities")(scores)
    return keras.Model(crops, result, name="served")


def last_activation(network: keras.Model) -> str:
    """Return the name of a network's last activation; ``linear`` where there is none."""
    last = network.layers[-1]
    if isinstance(last, keras.Model):
        return last_activation(last)
    if isinstance(last, keras.layers.Softmax):
        return "softmax"
    return str(getattr(getattr(last, "activation", None), "__name__", "linear"))


def _scores(network: keras.Model, grey: Any, *, logits: bool) -> Any:
    result = network(grey, training=False)
    return result if logits else keras.ops.log(keras.ops.maximum(result, _SMALLEST))


def _mirror_average(network: keras.Model, grey: Any, *, logits: bool) -> Any:
    """Return the mean scores of each crop and its mirror image, which run through the network in one batch."""
    both = keras.ops.concatenate([grey, keras.ops.flip(grey, axis=2)], axis=0)
    scores = _scores(network, both, logits=logits)
    return keras.ops.mean(keras.ops.reshape(scores, (2, -1, scores.shape[-1])), axis=0)


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
    # A new model without the clone's optimizer, whose state would double or triple the size of model.keras.
    return keras.Model(plain.inputs[0], plain.outputs[0], name=network.name)
