"""Make a bundle from a network with two heads: fold the heads, fit the temperature, write and measure the bundle."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ferstream.inference.bundle import HEADS_FILE, Bundle
from ferstream.training.balance import Balance, fold
from ferstream.training.bundle_heads import save_heads
from ferstream.training.data.dataset import FaceSet
from ferstream.training.evaluation.bundle_metrics import bundle_metrics
from ferstream.training.evaluation.temperature import temperature_for
from ferstream.training.export.bundle_writer import BundleTarget, Stored, save_bundle
from ferstream.training.export.serving import serving_model
from ferstream.training.two_heads import TwoHeadedNetwork

Heads = dict[str, npt.NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Served:
    """How a network with two heads is served.

    Attributes:
        balance: The balance of the heads.
        mirror: Whether each face is averaged with its mirror image, at twice the cost.
        half: Whether ``model.keras`` stores its weights in float16.
    """

    balance: Balance
    mirror: bool = False
    half: bool = False


def head_logits(network: TwoHeadedNetwork, faces: FaceSet, *, mirror: bool) -> Heads:
    """Return the logits (N, 7) of both heads, averaged with those of the mirror images where ``mirror`` is set."""
    plain = network.logits(faces.pixels)
    if not mirror:
        return plain
    mirrored = network.logits(np.ascontiguousarray(faces.pixels[:, :, ::-1]))
    return {head: np.asarray((plain[head] + mirrored[head]) / 2, np.float32) for head in plain}


def write_balanced(
    network: TwoHeadedNetwork, served: Served, target: BundleTarget, *, faces: FaceSet, usage: str, logits: Heads, notes: dict[str, Any]
) -> Bundle:
    """Write the bundle of a balanced network.

    Args:
        network: The network with two heads.
        served: Its balance, and how it is served.
        target: The bundle to write.
        faces: All splits.
        usage: The split that fits the temperature and is scored.
        logits: The logits of both heads for the faces of ``usage``.
        notes: What the manifest's recipe says about the choice of the balance.

    Raises:
        BundleError: The target exists, or the disk cannot be written.
    """
    balanced = served.balance.logits(logits, network.about)
    temperature = temperature_for(balanced, faces.of_usage(usage))
    recipe = {
        "arch": network.about.architecture,
        "balance": served.balance.as_json(),
        "priors": {head: list(shares) for head, shares in network.about.priors.items()},
        "mirror_average": served.mirror,
        "stored_weights": "float16" if served.half else "float32",
        "choice": notes,
        "training": network.about.recipe,
    }
    with tempfile.TemporaryDirectory(prefix="ferstream-heads-") as scratch:
        heads = save_heads(network, Path(scratch) / HEADS_FILE)
        return save_bundle(
            serving_model(fold(network, served.balance), logits=True, temperature=temperature, mirror=served.mirror),
            target,
            temperature=temperature,
            recipe=recipe,
            measure=lambda draft: bundle_metrics(draft, faces, usage),
            stored=Stored(half=served.half, files={HEADS_FILE: heads}),
        )
