"""One training step as one compiled function: pick faces, augment, mix, ask the teachers, answer, compare.

``OnDevice`` is a Keras model around the trained network. Its input is only which faces to take: the faces, their
targets, the teachers and the weight average are variables on the device. It uses what Keras has on TensorFlow, JAX and torch:
``train_on_batch`` with ``compute_loss`` and ``compute_metrics`` of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from ferstream.domain.face import FACE_SIZE_PX
from ferstream.training.data.augment_ops import FaceAugmenter
from ferstream.training.data.dataset import FaceSet
from ferstream.training.data.device_augmentation import DeviceAugmentation
from ferstream.training.data.head_targets import HeadTargets
from ferstream.training.fitting.recipe import Recipe
from ferstream.training.fitting.teacher_group import answers_of

Batch = dict[str, Any]
"""``rows`` (B,) int32: faces of the set; ``partners`` (B,) int32: places in the batch to mix with; ``share`` (1,) float32: weight of
the face itself, 1 = no mixup; ``decay`` (1,) float32: weight of the old average."""


class OnDevice(keras.Model):  # type: ignore[misc]
    """Trains a network with two heads. Only the weights of that network are trainable."""

    def __init__(self, network: keras.Model, teachers: Sequence[keras.Model], recipe: Recipe, faces: FaceSet, targets: HeadTargets) -> None:
        """Put faces and targets on the device.

        Args:
            network: The network to train; its outputs are ``votes`` and ``labels``.
            teachers: The group of teachers; may be empty.
            recipe: The settings of the run.
            faces: The training faces.
            targets: Their targets.
        """
        super().__init__(name="on_device", dtype=recipe.precision, autocast=False)
        self._recipe = recipe
        self.network = network
        self.teachers = list(teachers)
        settings = recipe.augmentation
        self.augmenter = FaceAugmenter(settings if isinstance(settings, DeviceAugmentation) else None, recipe.seed)
        self.faces = self._constant("faces", faces.pixels)
        self._targets = {"votes": self._constant("votes", targets.votes), "labels": self._constant("labels", targets.labels)}
        self._votes_weights = self._constant("votes_weights", targets.votes_weights)
        self.averages = [self._average_of(weight) for weight in network.weights] if recipe.average else []
        self._accuracy = keras.metrics.Mean(name="accuracy")
        self.built = True

    def call(self, batch: Batch, training: bool = False) -> dict[str, Any]:
        """Return logits, targets and teachers' answers for the faces of a batch, and whether each face was answered with its target."""
        rows, partners, share = batch["rows"], batch["partners"], batch["share"][0]

        def mixed(values: Any) -> Any:
            return share * values + (1.0 - share) * ops.take(values, partners, axis=0)

        faces = mixed(self.augmenter(ops.take(self.faces, rows, axis=0)))
        crops = ops.cast(ops.round(faces), "uint8")[..., None]
        answers = self.network(crops, training=training)
        result = {"votes": answers["votes"], "labels": answers["labels"]}
        for head in ("votes", "labels"):
            result[f"{head}_target"] = mixed(ops.take(self._targets[head], rows, axis=0))
        result["votes_weight"] = mixed(ops.take(self._votes_weights, rows, axis=0))
        if self.teachers:
            taught = answers_of(self.teachers, crops, self._recipe.teacher_temperature)
            result |= {f"{head}_taught": answer for head, answer in taught.items()}
        best, wanted = ops.argmax(result["votes"], axis=1), ops.argmax(result["votes_target"], axis=1)
        return result | {"right": ops.cast(best == wanted, "float32")}

    def compute_loss(self, x: Batch, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True) -> Any:
        """Return the loss of both heads; also update the weight average by the weights that the step began with."""
        del y, sample_weight, training
        for average, weight in zip(self.averages, self.network.weights, strict=bool(self.averages)):
            now = ops.stop_gradient(ops.cast(weight.value, average.dtype))
            average.assign(now + x["decay"][0] * (average.value - now))
        votes, labels = self._losses_of("votes", y_pred), self._losses_of("labels", y_pred)
        weights = y_pred["votes_weight"]
        if self.teachers:  # what the teachers say holds for each face
            weights = self._recipe.teacher_weight + (1.0 - self._recipe.teacher_weight) * weights
        return ops.sum(votes * weights) / ops.sum(weights) + self._recipe.labels_loss * ops.mean(labels)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Return loss and accuracy."""
        del x, y, sample_weight
        self._accuracy.update_state(y_pred["right"])
        return dict(self.get_metrics_result())

    def _losses_of(self, head: str, answers: dict[str, Any]) -> Any:
        """Return the cross entropy of each face (B,) against its target, blended with that against the teachers."""
        logits = ops.cast(answers[head], "float32")
        own = _cross_entropy(answers[f"{head}_target"], logits)
        if not self.teachers:
            return own
        weight, temperature = self._recipe.teacher_weight, self._recipe.teacher_temperature
        # Softened losses have gradients that are smaller by the square of the temperature (Hinton et al. 2015).
        taught = temperature**2 * _cross_entropy(answers[f"{head}_taught"], logits / temperature)
        return weight * taught + (1.0 - weight) * own

    def _constant(self, name: str, values: Any) -> Any:
        variable = self.add_weight(shape=values.shape, dtype=str(values.dtype), initializer="zeros", trainable=False, name=name)
        variable.assign(values)
        return variable

    def _average_of(self, weight: Any) -> Any:
        average = self.add_weight(shape=weight.shape, dtype=weight.dtype, initializer="zeros", trainable=False, name="average")
        average.assign(np.array(ops.convert_to_numpy(weight.value)))  # a copy: JAX gives away the memory of both in each step
        return average


class PipelineAlone(keras.Model):  # type: ignore[misc]
    """Makes batches as ``OnDevice`` does and trains nothing, to measure how fast batches are made."""

    def __init__(self, whole: OnDevice) -> None:
        """Use the faces and the augmentation of ``whole``."""
        super().__init__(name="pipeline", dtype="float32", autocast=False)
        self.augmenter, self.faces = whole.augmenter, whole.faces
        self.built = True

    def call(self, rows: Any) -> Any:
        """Return the mean of each augmented face (B,); little is copied to the host then."""
        return ops.mean(self.augmenter(ops.take(self.faces, rows, axis=0)), axis=(1, 2)) / (FACE_SIZE_PX * 1.0)


def draw_mixup(recipe: Recipe, epoch: int, index: int, size: int) -> tuple[float, Any]:
    """Return the weight of the face itself, and the place (B,) int32 of the other face, for one batch. It is drawn by the host."""
    random = np.random.default_rng((recipe.seed, epoch, index + 1))
    partners = random.permutation(size).astype(np.int32)
    applied = recipe.mixup > 0 and random.random() < recipe.mixup_share
    return (float(random.beta(recipe.mixup, recipe.mixup)) if applied else 1.0), partners


def _cross_entropy(targets: Any, logits: Any) -> Any:
    return -ops.sum(targets * ops.log_softmax(logits, axis=-1), axis=-1)
