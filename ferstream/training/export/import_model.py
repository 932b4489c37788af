"""Import a network of another project: its label order, value range, picture size and channels are adapted inside the served model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras

from ferstream.domain.emotion import LABELS
from ferstream.domain.face import FACE_SIZE_PX
from ferstream.errors import ModelError
from ferstream.training.export.serving import last_activation, serving_model
from ferstream.training.model_file import read_network

RANGES: dict[str, tuple[float, float]] = {"0..255": (1.0, 0.0), "0..1": (1 / 255, 0.0), "-1..1": (1 / 127.5, -1.0)}
"""Value ranges of the input that a network was trained with: scale and offset from 0..255."""

_ALIASES = {
    "anger": "angry",
    "disgusted": "disgust",
    "fearful": "fear",
    "scared": "fear",
    "happiness": "happy",
    "joy": "happy",
    "sadness": "sad",
    "surprised": "surprise",
    "calm": "neutral",
}


@dataclass(frozen=True, slots=True)
class Imported:
    """An imported network.

    Attributes:
        served: The model in the served form.
        notes: One line for each adaptation, for people.
    """

    served: keras.Model
    notes: tuple[str, ...]


def import_network(path: Path, *, weights: Path | None = None, labels: Sequence[str] = LABELS, value_range: str | None = None) -> Imported:
    """Read a network of another project and wrap it into the served form.

    Args:
        path: ``.json`` (with ``weights``), ``.h5``, ``.hdf5`` or ``.keras``.
        weights: The ``.h5`` with the weights, where ``path`` is a ``.json``.
        labels: The label of each output, in order; usual synonyms are accepted.
        value_range: A key of ``RANGES``; None: ``0..255`` where the network scales its input itself, else ``0..1``.

    Raises:
        ModelError: The file is refused or cannot be read, or its inputs or outputs cannot be adapted.
    """
    order = label_order(labels)
    if value_range is not None and value_range not in RANGES:
        raise ModelError(f"range {value_range!r} is unknown; choose one of {', '.join(RANGES)}")
    network = read_network(path, weights)
    adapted, notes = _adapted(network, path, value_range)
    if adapted.output_shape[-1] != len(LABELS):
        raise ModelError(
            f"{path}: has {adapted.output_shape[-1]} outputs, ferstream's labels are {len(LABELS)}; train it again with these labels"
        )
    in_order = order == list(range(len(LABELS)))
    reordered = "outputs are in ferstream's label order" if in_order else "outputs were reordered to " + ", ".join(LABELS)
    served = serving_model(adapted, order=None if in_order else order)
    return Imported(served=served, notes=(*notes, *_about_outputs(network), reordered))


def label_order(labels: Sequence[str]) -> list[int]:
    """Return the index in ``labels`` of each of ``LABELS``.

    Raises:
        ModelError: A label is unknown, missing or given twice.
    """
    names = [_ALIASES.get(name.strip().lower(), name.strip().lower()) for name in labels]
    unknown = [name for name in names if name not in LABELS]
    if unknown:
        raise ModelError(f"label {unknown[0]!r} is unknown; give {', '.join(LABELS)} in the order of the model's outputs")
    if sorted(names) != sorted(LABELS):
        missing = ", ".join(name for name in LABELS if name not in names) or "none"
        raise ModelError(f"labels: expected each of {', '.join(LABELS)} once, got {', '.join(names)} (missing: {missing})")
    return [names.index(label) for label in LABELS]


def _scales_inside(network: keras.Model) -> bool:
    first = [layer for layer in network.layers if not isinstance(layer, keras.layers.InputLayer)][:1]
    return any(isinstance(layer, keras.layers.Rescaling | keras.layers.Normalization) for layer in first)


def _about_outputs(network: keras.Model) -> tuple[str, ...]:
    """Return a note where the outputs are neither logits nor a softmax."""
    ends_in = last_activation(network)
    if ends_in == "sigmoid":
        return ("outputs are seven sigmoids: used as probabilities, scaled to sum 1",)
    return () if ends_in in {"linear", "softmax"} else (f"the network ends in {ends_in}: its outputs are used as logits",)


def _adapted(network: keras.Model, path: Path, value_range: str | None) -> tuple[keras.Model, tuple[str, ...]]:
    """Put layers in front of the network that turn grey 48x48 0..255 into its own input."""
    shape = tuple(network.input_shape) if isinstance(network.input_shape, tuple) else ()
    if len(shape) == 4 and shape[1] in {1, 3} and shape[3] not in {1, 3}:
        raise ModelError(f"{path}: input shape {shape} has its channels first; build the network with channels last and save it again")
    if len(shape) != 4 or None in shape[1:] or shape[3] not in {1, 3}:
        raise ModelError(f"{path}: input shape {network.input_shape}, expected (None, height, width, 1 or 3), channels last")
    height, width, channels = shape[1:]
    guessed = value_range is None and not _scales_inside(network)  # a network that scales its input takes 0..255
    value_range = value_range or ("0..1" if guessed else "0..255")
    scale, offset = RANGES[value_range]
    given = keras.Input((FACE_SIZE_PX, FACE_SIZE_PX, 1), name="grey")
    value = keras.layers.Rescaling(scale, offset, name="to_its_range")(given)
    notes = [f"input range {value_range}" + (" (assumed; correct it with --range)" if guessed else "")]
    if (height, width) != (FACE_SIZE_PX, FACE_SIZE_PX):
        value = keras.layers.Resizing(height, width, interpolation="bilinear", name="to_its_size")(value)
        notes.append(f"faces are resized to {width}x{height} inside the model")
    if channels == 3:
        value = keras.layers.Concatenate(name="to_three_channels")([value, value, value])
        notes.append("grey is repeated in three channels")
    return keras.Model(given, network(value), name=network.name), tuple(notes)
