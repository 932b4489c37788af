"""Training steps on batches that the host makes: numpy and OpenCV, the same faces for one seed on each backend."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import keras

from ferstream.training.data.augment import Augmentation
from ferstream.training.data.batches import TrainingBatches
from ferstream.training.data.dataset import FaceSet
from ferstream.training.fitting.averaging import WeightAverage
from ferstream.training.fitting.recipe import Recipe
from ferstream.training.fitting.steps import Arrays, assign, values_of
from ferstream.training.fitting.teacher import teacher_targets


class HostSteps:
    """Steps of a network with one head; see ``Steps``."""

    def __init__(self, network: keras.Model, recipe: Recipe, training: FaceSet) -> None:
        """Make the batches of a recipe.

        Raises:
            DataError: There are fewer faces than one batch.
        """
        self._network = network
        self._recipe = recipe
        self._training = training
        self._batches = TrainingBatches(
            faces=training,
            batch=recipe.batch,
            seed=recipe.seed,
            augmentation=recipe.augmentation if isinstance(recipe.augmentation, Augmentation) else None,
            label_weight=recipe.label_weight,
            smoothing=recipe.smoothing,
            mixup=recipe.mixup,
            class_weights=recipe.class_weights,
        )
        self._average = WeightAverage(decay=recipe.average) if recipe.average else None

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        return len(self._batches)

    def prepare(self, report: Callable[[int, int], None]) -> None:
        """Blend the answers of the recipe's teacher into the targets, which takes minutes."""
        if self._recipe.teacher:
            targets = teacher_targets(self._recipe.teacher, self._training.pixels, on_chunk=report)
            self._batches.blend_in(targets, self._recipe.teacher_weight)

    def compile(self, optimizer: keras.optimizers.Optimizer) -> None:
        """Compile the network. ``network.optimizer`` is not ``optimizer`` then, if the precision is mixed_float16."""
        self._network.compile(
            optimizer=optimizer,
            loss=keras.losses.CategoricalCrossentropy(from_logits=True),
            metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
            jit_compile=keras.backend.backend() == "jax",  # without it JAX is slow; TensorFlow and torch are faster without
        )
        # Only a built optimizer can take a checkpoint's state.
        self._network.optimizer.build(self._network.trainable_variables)

    def start_epoch(self, epoch: int) -> None:
        """Order the faces anew."""
        self._batches.start(epoch)

    def step(self, epoch: int, index: int, rate: float) -> tuple[float, float]:
        """Train on one batch."""
        faces, targets, weights = self._batches[index]
        self._network.optimizer.learning_rate = rate
        logs = self._network.train_on_batch(faces, targets, sample_weight=weights, return_dict=True)
        self._network.reset_metrics()
        if self._average is not None:
            self._average.update(self._network, epoch * len(self) + index)
        return float(logs["loss"]), float(logs["accuracy"])

    def averaged(self) -> AbstractContextManager[None]:
        """Set the averaged weights for the length of the block."""
        return self._average.applied(self._network) if self._average is not None else nullcontext()

    def state(self) -> Arrays:
        """Return optimizer and average."""
        arrays = {"optimizer": values_of(self._network.optimizer.variables)}
        return arrays if self._average is None else arrays | {"average": list(self._average.weights)}

    def restore(self, path: Path, arrays: Arrays) -> None:
        """Take over optimizer and average."""
        assign(path, self._network.optimizer.variables, arrays["optimizer"])
        if self._average is not None:
            self._average.restore(arrays["average"])
