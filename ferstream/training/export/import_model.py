"""Taking an older project's network into a bundle: its label order, range, size and channels are folded into the served model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras

from ferstream.domain.emotion import LABELS
from ferstream.domain.face import FACE_SIZE_PX
from ferstream.errors import ModelError
from ferstream.training.evaluation.serving import last_activation, serving_model
from ferstream.training.export.model_file import read_network

RANGES: dict[str, tuple[float, float]] = {"0..255": (1.0, 0.0), "0..1": (1 / 255, 0.0), "-1..1": (1 / 127.5, -1.0)}
"""What a network was fed: scale and offset from 0..255."""

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
    """What was read and how it will be fed.

    Attributes:
        served: The model in the served form.
        notes: What was decided, a line each, for people.
    """

    served: keras.Model
    notes: tuple[str, ...]


def import_network(path: Path, *, weights: Path | None = None, labels: Sequence[str] = LABELS, value_range: str | None = None) -> Imported:
    """Read an older network and wrap it into the served form.

    Args:
        path: ``.json`` (with ``weights``), ``.h5``, ``.hdf5`` or ``.keras``.
        weights: The ``.h5`` of the weights when ``path`` is the architecture.
        labels: Meaning of its outputs, in their order; usual synonyms are understood.
        value_range: A key of ``RANGES``; None: ``0..255`` when it scales inside, else ``0..1``.

    Raises:
        ModelError: The file is refused, unreadable, or has other inputs or outputs; the message says what to do.
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
    moved = "outputs are in ferstream's label order" if in_order else "outputs were reordered to " + ", ".join(LABELS)
    served = serving_model(adapted, order=None if in_order else order)
    return Imported(served=served, notes=(*notes, *_about_outputs(network), moved))


def label_order(labels: Sequence[str]) -> list[int]:
    """Return for each of ``LABELS`` the position it has in ``labels``.

    Raises:
        ModelError: A label is unknown, missing or doubled.
    """
    names = [_ALIASES.get(name.strip().lower(), name.strip().lower()) for name in labels]
    unknown = [name for name in names if name not in LABELS]
    if unknown:
        raise ModelError(f"label {unknown[0]!r} is unknown; give the model's own order of {', '.join(LABELS)}")
    if sorted(names) != sorted(LABELS):
        missing = ", ".join(name for name in LABELS if name not in names) or "none"
        raise ModelError(f"labels: expected each of {', '.join(LABELS)} once, got {', '.join(names)} (missing: {missing})")
    return [names.index(label) for label in LABELS]


def _scales_inside(network: keras.Model) -> bool:
    first = [layer for layer in network.layers if not isinstance(layer, keras.layers.InputLayer)][:1]
    return any(isinstance(layer, keras.layers.Rescaling | keras.layers.Normalization) for layer in first)


def _about_outputs(network: keras.Model) -> tuple[str, ...]:
    """Say what is made of outputs that are neither logits nor a softmax."""
    ends_in = last_activation(network)
    if ends_in == "sigmoid":
        return ("its outputs are seven sigmoids: taken as probabilities and scaled to sum 1",)
    return () if ends_in in {"linear", "softmax"} else (f"it ends in {ends_in}: its outputs are taken for logits",)


def _adapted(network: keras.Model, path: Path, value_range: str | None) -> tuple[keras.Model, tuple[str, ...]]:
    """Put grey 48x48 0..255 in front of whatever the network takes."""
    shape = tuple(network.input_shape) if isinstance(network.input_shape, tuple) else ()
    if len(shape) != 4 or None in shape[1:] or shape[3] not in {1, 3}:
        raise ModelError(f"{path}: takes {network.input_shape}, expected one picture (None, height, width, 1 or 3), channels last")
    height, width, channels = shape[1:]
    guessed = value_range is None and not _scales_inside(network)  # one that scales inside takes bytes: that is seen
    value_range = value_range or ("0..1" if guessed else "0..255")
    scale, offset = RANGES[value_range]
    given = keras.Input((FACE_SIZE_PX, FACE_SIZE_PX, 1), name="grey")
    value = keras.layers.Rescaling(scale, offset, name="to_its_range")(given)
    notes = [f"it is fed {value_range}" + (" (guessed; --range corrects it)" if guessed else "")]
    if (height, width) != (FACE_SIZE_PX, FACE_SIZE_PX):
        value = keras.layers.Resizing(height, width, interpolation="bilinear", name="to_its_size")(value)
        notes.append(f"crops are resized to {width}x{height} inside the model")
    if channels == 3:
        value = keras.layers.Concatenate(name="to_three_channels")([value, value, value])
        notes.append("grey is repeated on three channels")
    return keras.Model(given, network(value), name=network.name), tuple(notes)
