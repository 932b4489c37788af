"""Tune a network with two heads so that a face keeps its label in the mirror and when its landmarks are a little wrong.

    python scripts/tune_consistency.py emotion-edge/1.1.0 --data fer2013.csv --teacher runs/teacher-1/two-heads.keras --out tuned.keras

Each training face is seen twice in a batch: varied, and the same mirrored with its crop moved as wrong landmarks move
it. The network is taught what the teachers answer to the face and its mirror image, and that its own two answers agree.
The result is mixed with the weights that the tuning began with. ``ferstream balance`` makes a bundle of it. ``emotion-edge``
1.2.0 was made this way (docs/adr/0075-tuned-for-consistency.md).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from ferstream.training.bundle_heads import read_two_headed
from ferstream.training.data.augment import Augmentation
from ferstream.training.data.readers import read_faces
from ferstream.training.data.selection import first_rows, select
from ferstream.training.fitting.architectures import ARCHITECTURES
from ferstream.training.fitting.averaging import WeightAverage
from ferstream.training.fitting.schedule import Cosine
from ferstream.training.fitting.teacher_group import answers_of, load_teachers
from ferstream.training.two_heads import HEADS, Head, TwoHeadedNetwork, save_two_heads

AUGMENTATION = Augmentation(
    flip=False, rotate_deg=8.0, shift_px=2.0, scale=0.08, contrast=0.25, gamma=0.4, erase=0.15, soften=0.25, noise=0.15
)
HEAD_WEIGHT: dict[Head, float] = {"votes": 1.0, "labels": 0.5}
DEGREES, ZOOM, SHIFT_PX = 2.6, 0.035, 0.8
"""Standard deviations of the similarity that alignment computes from landmarks with an error of one crop pixel."""

Targets = dict[Head, NDArray[np.float32]]
Weights = list[NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a tuning.

    Attributes:
        epochs: How often each face is seen in two ways.
        batch: Pairs a batch.
        rate: Highest learning rate.
        consistency: Weight of the divergence between the two answers.
        average: Weight of the old average of the weights in each step, 0..1.
        kept: Share of the weights that the tuning began with in the result, 0..1.
        precision: Keras's policy of the tuned network.
        seed: Of order and variations.
    """

    epochs: int = 3
    batch: int = 128
    rate: float = 3e-4
    consistency: float = 8.0
    average: float = 0.99
    kept: float = 0.2
    precision: str = "mixed_bfloat16"
    seed: int = 3


class Pairs(keras.Model):  # type: ignore[misc]
    """Compares a network's answers to the first half of a batch with those to the second half, which has the same faces."""

    def __init__(self, network: keras.Model, consistency: float) -> None:
        """Wrap the network to tune; ``consistency`` is the weight of the divergence."""
        super().__init__(name="pairs", dtype="float32")
        self.network = network
        self._consistency = consistency
        self.built = True

    def call(self, faces: Any, training: bool = False) -> Any:
        """Return the logits of both heads."""
        return self.network(faces, training=training)

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True) -> Any:
        """Return the cross-entropy against the teachers plus the weighted divergence, both summed over the heads."""
        del x, sample_weight, training
        total = 0.0
        for head, weight in HEAD_WEIGHT.items():
            logs = ops.log_softmax(ops.cast(y_pred[head], "float32"))
            entropy = -ops.mean(ops.sum(ops.concatenate([y[head], y[head]]) * logs, axis=-1))
            total = total + weight * (entropy + self._consistency * divergence(*ops.split(logs, 2)))
        return total


def divergence(one: Any, other: Any) -> Any:
    """Return the mean symmetric Kullback-Leibler divergence between logarithms of probabilities (n, 7): half of both directions' sum."""
    return 0.5 * ops.mean(ops.sum((ops.exp(one) - ops.exp(other)) * (one - other), axis=-1))


def moved(faces: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Return faces (n, 48, 48) as crops show them whose landmarks have errors of one crop pixel."""
    result, centre = np.empty_like(faces), (faces.shape[1] - 1) / 2
    for face, out in zip(faces, result, strict=True):
        matrix = np.asarray(cv2.getRotationMatrix2D((centre, centre), random.normal(0, DEGREES), 1 + random.normal(0, ZOOM)), np.float64)
        matrix[:, 2] += random.normal(0, SHIFT_PX, 2)
        cv2.warpAffine(face, matrix, face.shape, dst=out, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return result


def taught(teachers: Sequence[keras.Model], faces: NDArray[np.uint8], batch: int = 64) -> Targets:
    """Return for each head the teachers' mean probabilities (n, 7) over faces (n, 48, 48) and their mirror images."""
    parts: list[Targets] = []
    for start in range(0, len(faces), batch):
        chunk = faces[start : start + batch, :, :, np.newaxis]
        both = [answers_of(teachers, crops, 1.0) for crops in (chunk, np.ascontiguousarray(chunk[:, :, ::-1]))]
        parts.append({head: np.mean([ops.convert_to_numpy(answers[head]) for answers in both], axis=0) for head in HEADS})
    return {head: np.concatenate([part[head] for part in parts]) for head in HEADS}


def tune(start: TwoHeadedNetwork, faces: NDArray[np.uint8], targets: Targets, settings: Settings) -> keras.Model:
    """Return a network of the same architecture, tuned and mixed with ``start``.

    Args:
        start: The network to begin with; it stays as it is.
        faces: (n, 48, 48), at least a batch.
        targets: For each head (n, 7) probabilities.
        settings: The settings.
    """
    keras.utils.set_random_seed(settings.seed)  # of dropout
    make, begun = ARCHITECTURES[start.about.architecture], start.network.get_weights()
    network = _trainable(make, begun, settings)
    steps = len(faces) // settings.batch
    schedule = Cosine(peak=settings.rate, total_steps=steps * settings.epochs, warmup_steps=min(60, steps))
    pairs, average = Pairs(network, settings.consistency), WeightAverage(decay=settings.average)
    pairs.compile(optimizer=_optimizer(network), jit_compile=keras.backend.backend() == "jax")
    random, index = np.random.default_rng(settings.seed), 0
    for epoch in range(settings.epochs):
        losses = []
        for rows in random.permutation(len(faces))[: steps * settings.batch].reshape(steps, settings.batch):
            varied = AUGMENTATION(faces[rows], random)
            both = np.concatenate([varied, moved(varied, random)[:, :, ::-1]])[..., np.newaxis]
            pairs.optimizer.learning_rate = schedule.at(index)
            losses.append(pairs.train_on_batch(both, {head: targets[head][rows] for head in HEADS}, return_dict=True)["loss"])
            average.update(network, index)
            index += 1
        print(f"epoch {epoch + 1}: loss {np.mean(losses):.4f}", flush=True)
    tuned = make(two_heads=True)
    tuned.set_weights(mixed(begun, average.weights, settings.kept))
    return tuned


def mixed(begun: Weights, tuned: Weights, kept: float) -> Weights:
    """Return weights between those of the start and the tuned ones; ``kept`` is the share of the start."""
    return [kept * old + (1 - kept) * new for old, new in zip(begun, tuned, strict=True)]


def _trainable(make: Any, weights: Weights, settings: Settings) -> keras.Model:
    """Build a network with these weights whose batch normalisation does not change."""
    keras.mixed_precision.set_global_policy(settings.precision)
    try:
        network = make(two_heads=True, dropout=0.05)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    network.set_weights(weights)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    return network


def _optimizer(network: keras.Model) -> keras.optimizers.Optimizer:
    optimizer = keras.optimizers.AdamW(weight_decay=0.01)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    optimizer.build(network.trainable_variables)
    return optimizer


def main() -> None:
    """Read the command line, tune, and write the file."""
    usual = Settings()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", help="a .keras file with two heads, or a bundle made from one")
    parser.add_argument("--data", type=Path, required=True, help="fer2013.csv with fer2013new.csv beside it")
    parser.add_argument("--teacher", action="append", required=True, help="a network with two heads; may be given several times")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=usual.epochs)
    parser.add_argument("--batch", type=int, default=usual.batch)
    parser.add_argument("--rows", type=int, help="only the first rows of each split, for a trial")
    given = parser.parse_args()
    everything = read_faces(given.data, want_votes=True)
    faces = select(first_rows(everything, given.rows) if given.rows else everything).training.pixels
    start = read_two_headed(given.network)
    print(f"{len(faces)} faces, asking {len(given.teacher)} teachers", flush=True)
    targets = taught(load_teachers(given.teacher), faces)
    tuned = tune(start, faces, targets, Settings(epochs=given.epochs, batch=given.batch))
    recipe = {**start.about.recipe, "then_tuned": {"from": given.network, "teachers": given.teacher, "epochs": given.epochs}}
    save_two_heads(tuned, given.out, start.about.model_copy(update={"recipe": recipe}))
    print(f"{given.out}: written")


if __name__ == "__main__":
    main()
