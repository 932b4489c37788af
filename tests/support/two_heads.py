"""A tiny network with two heads, with random weights from a fixed seed."""

from __future__ import annotations

from ferstream.domain.emotion import LABELS
from ferstream.training.two_heads import HEADS, TwoHeadedNetwork, TwoHeads

ABOUT = TwoHeads(
    architecture="tiny",
    priors={"votes": (0.1, 0.01, 0.03, 0.26, 0.14, 0.12, 0.34), "labels": (0.14, 0.02, 0.14, 0.25, 0.17, 0.11, 0.17)},
    recipe={"data": "drawn faces"},
)


def tiny_two_heads() -> TwoHeadedNetwork:
    """Return a network from (48, 48, 1) 0..255 to two times seven logits, of a size like those of a trained network."""
    import keras

    keras.utils.set_random_seed(11)
    faces = keras.Input((48, 48, 1), name="faces")
    x = keras.layers.Rescaling(1 / 127.5, -1.0)(faces)
    x = keras.layers.Conv2D(8, 5, strides=4, activation="relu")(x)
    x = keras.layers.Flatten()(x)
    network = keras.Model(faces, {head: keras.layers.Dense(len(LABELS), name=head)(x) for head in HEADS}, name="tiny")
    return TwoHeadedNetwork(network, ABOUT)
