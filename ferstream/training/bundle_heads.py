"""Both heads of a bundle whose network was trained with two: written when it is made, read for another balance or more training.

The bundle serves one Dense layer, into which the heads were folded. ``heads.npz`` has the heads themselves, and the
manifest's recipe their priors, so that the network with two heads can be made again.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import ValidationError

from ferstream.domain.emotion import LABELS
from ferstream.errors import ModelError
from ferstream.inference.bundle import HEADS_FILE, KERAS_FILE, Bundle, load_bundle
from ferstream.training.model_file import read_network
from ferstream.training.two_heads import HEADS, LOGITS, TwoHeadedNetwork, TwoHeads, read_two_heads

if TYPE_CHECKING:
    import keras


def save_heads(two_headed: TwoHeadedNetwork, path: Path) -> Path:
    """Write kernel and bias of both heads (``.npz``: ``votes_kernel``, ``votes_bias``, ``labels_kernel``, ``labels_bias``)."""
    arrays = {}
    for head in HEADS:
        layer = two_headed.network.get_layer(head)
        arrays[f"{head}_kernel"], arrays[f"{head}_bias"] = np.asarray(layer.kernel), np.asarray(layer.bias)
    np.savez(path, allow_pickle=False, **arrays)
    return path


def read_two_headed(model: str) -> TwoHeadedNetwork:
    """Read a network with two heads.

    Args:
        model: A ``.keras`` file of two heads; or name, name/version or folder of a bundle that was made from one.

    Raises:
        BundleError: The bundle does not exist or is damaged.
        ModelError: The file or the bundle has no two heads.
    """
    if model.endswith(".keras"):
        return read_two_heads(Path(model))
    bundle = load_bundle(model)
    if not (bundle.has(HEADS_FILE) and bundle.has(KERAS_FILE)):
        raise ModelError(f"model {bundle.directory}: has no {HEADS_FILE} or no {KERAS_FILE}; it was not made from a network with two heads")
    return TwoHeadedNetwork(_with_heads(bundle), _description(bundle))


def _with_heads(bundle: Bundle) -> keras.Model:
    """Put the heads on the features of the served network."""
    import keras

    served = read_network(bundle.file(KERAS_FILE))
    inner = [layer for layer in served.layers if isinstance(layer, keras.Model)]
    if len(inner) != 1:
        raise ModelError(f"model {bundle.directory}: contains {len(inner)} networks, expected one")
    features = inner[0].get_layer(LOGITS).input
    layers = {head: keras.layers.Dense(len(LABELS), dtype="float32", name=head) for head in HEADS}
    network = keras.Model(inner[0].input, {head: layer(features) for head, layer in layers.items()}, name=inner[0].name)
    try:
        with np.load(bundle.file(HEADS_FILE), allow_pickle=False) as arrays:
            for head, layer in layers.items():
                layer.set_weights([arrays[f"{head}_kernel"], arrays[f"{head}_bias"]])
    except (OSError, ValueError, KeyError) as exc:
        raise ModelError(f"model {bundle.file(HEADS_FILE)}: does not hold the heads of this network: {exc}") from exc
    return network


def _description(bundle: Bundle) -> TwoHeads:
    recipe = bundle.manifest.recipe
    try:
        return TwoHeads(architecture=recipe.get("arch", ""), priors=recipe.get("priors", {}), recipe=recipe.get("training", {}))
    except ValidationError as exc:
        fault = exc.errors(include_url=False)[0]
        raise ModelError(f"model {bundle.directory}: recipe: {'.'.join(map(str, fault['loc']))}: {fault['msg']}") from exc
