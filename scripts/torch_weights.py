"""Turn weights that PyTorch trained (``.npz``) into a file with two heads, the input of ``ferstream balance``.

    python scripts/torch_weights.py edge edge.npz --recipe recipe.json --out edge.keras

The archive has the ``state_dict`` of a network of the same layers as ``edge``, ``small`` or ``large``: ``stem``, ``rows.N``
(one residual block each: ``a``, ``b``, ``g1``, ``g2``, ``short``), and the heads ``A`` (votes) and ``B`` (labels).
The recipe is a JSON object; its key ``priors`` has the shares of the classes for ``votes`` and ``labels``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ferstream.training.keras_import import import_keras

Weights = Mapping[str, Any]
HEADS = {"votes": "A", "labels": "B"}


def main() -> None:
    """Read the command line, convert, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("architecture", choices=["edge", "small", "large"])
    parser.add_argument("weights", type=Path)
    parser.add_argument("--recipe", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    import_keras()
    from ferstream.training.fitting.architectures import ARCHITECTURES
    from ferstream.training.two_heads import TwoHeads, save_two_heads

    recipe = json.loads(given.recipe.read_text(encoding="utf-8"))
    about = TwoHeads(architecture=given.architecture, priors=recipe.pop("priors"), recipe=recipe)
    network = ARCHITECTURES[given.architecture](two_heads=True)
    with np.load(given.weights, allow_pickle=False) as archive:
        fill(network, {name: archive[name].astype(np.float32) for name in archive.files})
    save_two_heads(network, given.out, about)
    print(f"{given.out}: written, {network.count_params():,} parameters")


def fill(network: Any, weights: Weights) -> None:
    """Copy PyTorch's weights into the layers of ``network``, which come in the order in which they were made."""
    import keras

    convolutions = _in_order(network, keras.layers.Conv2D)
    norms = iter(_in_order(network, keras.layers.BatchNormalization))
    for name, layer in zip(_names(weights), convolutions, strict=True):
        if f"{name}.weight" in weights:  # squeeze-excite, without a norm
            layer.set_weights([_kernel(weights[f"{name}.weight"]), weights[f"{name}.bias"]])
            continue
        layer.set_weights([_kernel(weights[f"{name}.conv.weight"])])
        next(norms).set_weights([weights[f"{name}.bn.{part}"] for part in ("weight", "bias", "running_mean", "running_var")])
    for head, letter in HEADS.items():
        network.get_layer(head).set_weights([weights[f"{letter}.weight"].T, weights[f"{letter}.bias"]])


def _names(weights: Weights) -> Iterator[str]:
    """Yield the names of the convolutions in the order of the forward pass."""
    yield "stem"
    for row in range(sum(name.endswith(".a.conv.weight") for name in weights)):
        for part in ("a", "b", "g1", "g2", "short"):
            name = f"rows.{row}.{part}"
            if any(key.startswith(f"{name}.") for key in weights):
                yield name


def _in_order(network: Any, kind: type) -> list[Any]:
    """Return the layers of a kind in the order in which they were made, which is the number at the end of their names."""

    def number(layer: Any) -> int:
        end = layer.name.rpartition("_")[2]
        return int(end) if end.isdecimal() else 0

    return sorted((layer for layer in network.layers if isinstance(layer, kind)), key=number)


def _kernel(value: Any) -> Any:
    """Return a kernel (height, width, in, out) for PyTorch's (out, in, height, width)."""
    return value.transpose(2, 3, 1, 0)


if __name__ == "__main__":
    main()
