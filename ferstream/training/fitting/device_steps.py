"""Training steps of a network with two heads, whose batches are made and augmented on the device."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ferstream.training.data.dataset import FaceSet
from ferstream.training.data.head_targets import head_targets
from ferstream.training.data.selection import check_batch
from ferstream.training.fitting.device_network import OnDevice, PipelineAlone, draw_mixup
from ferstream.training.fitting.recipe import Recipe
from ferstream.training.fitting.steps import Arrays, assign, values_of

_MEASURED_BATCHES = 3


@dataclass(frozen=True, slots=True)
class Speed:
    """What was measured while a run trained.

    Attributes:
        made: Faces a second that the input pipeline makes when nothing is trained.
        trained: Faces a second of whole training steps, input pipeline included.
    """

    made: float
    trained: float

    def __str__(self) -> str:
        """Return a line for people."""
        share = 100 * self.trained / self.made
        return (
            f"input pipeline alone {self.made:,.0f} faces/s, training {self.trained:,.0f} faces/s: "
            f"making the batches takes {share:.0f} % of a step's time"
        )


class DeviceSteps:
    """Steps of a network with two heads; see ``Steps``."""

    def __init__(self, network: keras.Model, recipe: Recipe, training: FaceSet, teachers: Sequence[keras.Model] = ()) -> None:
        """Put the faces on the device.

        Args:
            network: With the outputs ``votes`` and ``labels``.
            recipe: The settings of the run.
            training: The training faces, with votes.
            teachers: The group of teachers.

        Raises:
            DataError: There are fewer faces than one batch, or they have no votes.
        """
        check_batch(training, recipe.batch)
        self._recipe = recipe
        self._network = network
        self._faces = len(training)
        self._order = np.arange(self._faces)
        targets = head_targets(training, smoothing=recipe.smoothing)
        self.priors = targets.priors
        """For each head the shares of the classes among its targets."""
        self._whole = OnDevice(network, teachers, recipe, training, targets)
        self._made = 0.0
        self._timed_from, self._seconds, self._timed = 0.0, 0.0, 0

    @property
    def speed(self) -> Speed | None:
        """What the steps so far took; None before two steps of an epoch."""
        if not self._timed or not self._made:
            return None
        return Speed(self._made, self._timed * self._recipe.batch / max(1e-9, self._seconds))

    def __len__(self) -> int:
        """Return the number of full batches of an epoch."""
        return self._faces // self._recipe.batch

    def prepare(self, report: Callable[[int, int], None]) -> None:
        """Compile the input pipeline alone and measure it."""
        del report
        alone = PipelineAlone(self._whole)
        rows = np.arange(self._recipe.batch, dtype=np.int32)
        alone.predict_on_batch(rows)
        started = time.monotonic()
        for _ in range(_MEASURED_BATCHES):
            alone.predict_on_batch(rows)
        self._made = _MEASURED_BATCHES * len(rows) / max(1e-9, time.monotonic() - started)

    def compile(self, optimizer: keras.optimizers.Optimizer) -> None:
        """Compile the whole step."""
        self._whole.compile(optimizer=optimizer, jit_compile=keras.backend.backend() == "jax")
        self._whole.optimizer.build(self._whole.trainable_variables)

    def start_epoch(self, epoch: int) -> None:
        """Order the faces anew, and seed the augmentation."""
        self._order = np.random.default_rng((self._recipe.seed, epoch)).permutation(self._faces).astype(np.int32)
        self._whole.augmenter.restart(self._recipe.seed, epoch)
        self._timed = 0

    def step(self, epoch: int, index: int, rate: float) -> tuple[float, float]:
        """Train on one batch."""
        size, step = self._recipe.batch, epoch * len(self) + index
        share, partners = draw_mixup(self._recipe, epoch, index, size)
        batch = {
            "rows": self._order[index * size : (index + 1) * size],
            "partners": partners,
            "share": np.array([share], np.float32),
            "decay": np.array([min(self._recipe.average, (1 + step) / (10 + step))], np.float32),
        }
        self._whole.optimizer.learning_rate = rate
        logs: dict[str, Any] = self._whole.train_on_batch(batch, return_dict=True)
        if index == 0:  # not counted: the first step of a run compiles
            self._timed_from = time.monotonic()
        else:
            self._timed, self._seconds = index, time.monotonic() - self._timed_from
        return float(logs["loss"]), float(logs["accuracy"])

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Set the averaged weights for the length of the block."""
        if not self._whole.averages:
            yield
            return
        trained = values_of(self._network.weights)
        self._network.set_weights(values_of(self._whole.averages))
        try:
            yield
        finally:
            self._network.set_weights(trained)

    def state(self) -> Arrays:
        """Return optimizer and average."""
        return {"optimizer": values_of(self._whole.optimizer.variables), "average": values_of(self._whole.averages)}

    def restore(self, path: Path, arrays: Arrays) -> None:
        """Take over optimizer and average."""
        assign(path, self._whole.optimizer.variables, arrays["optimizer"])
        assign(path, self._whole.averages, arrays.get("average", []))
