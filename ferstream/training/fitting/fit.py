"""The training loop: one recipe on any Keras backend, resumable after a kill at any moment.

It calls ``train_on_batch`` instead of ``fit``, because weights can then be read as numpy arrays after every step on
TensorFlow, JAX and torch alike. The weight average, the checkpoints and the learning rate per step need that
(docs/adr/0033-training-loop.md).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np

from ferstream.errors import DataError
from ferstream.training.data.dataset import FaceSet
from ferstream.training.fitting import checkpoint as checkpoints
from ferstream.training.fitting.architectures import BASE, build
from ferstream.training.fitting.checkpoint import Checkpoint
from ferstream.training.fitting.device_steps import DeviceSteps
from ferstream.training.fitting.history import EpochRecord, best_epoch, epochs_without_progress
from ferstream.training.fitting.host_steps import HostSteps
from ferstream.training.fitting.initial_weights import load_initial_weights
from ferstream.training.fitting.recipe import Recipe
from ferstream.training.fitting.resume_check import DATA, TEACHERS, check_same_data, check_same_recipe, data_digests
from ferstream.training.fitting.schedule import Cosine, Plateau
from ferstream.training.fitting.steps import Steps, assign, values_of
from ferstream.training.fitting.teacher_group import digest_of, load_teachers
from ferstream.training.fitting.validation import validate

LAST = "last.npz"
"""Checkpoint of the last finished epoch; a run resumes from it."""
BEST = "best.npz"
"""Weights of the best epoch."""

OnStep = Callable[[int, int, int, float], None]
OnEpoch = Callable[[list[EpochRecord]], None]
Build = Callable[[Recipe], keras.Model]


class Fit:
    """One training run in a folder. ``run()`` starts it, or resumes it from the folder's checkpoint."""

    def __init__(
        self,
        *,
        recipe: Recipe,
        training: FaceSet,
        validation: FaceSet,
        folder: Path,
        on_step: OnStep = lambda *_: None,
        on_epoch: OnEpoch = lambda _: None,
        build_network: Build = build,
    ) -> None:
        """Build the network and the training batches.

        Args:
            recipe: The settings of the run.
            training: The faces to learn from.
            validation: The faces that choose the best epoch.
            folder: Folder of the checkpoints; made when missing.
            on_step: Called before an epoch and after each step with the epoch (from 0), steps done, its steps, and the mean loss so far.
                While the teacher classifies the faces the loss is NaN and the steps are its chunks.
            on_epoch: Called with the history after each epoch, once its checkpoint is on disk.
            build_network: Builds the network of a recipe.

        Raises:
            DataError: There are fewer training faces than one batch, or ``recipe.init`` has another architecture.
        """
        self._recipe = recipe
        self._digests = data_digests(training, validation)
        self._training, self._validation = training, validation
        self._folder = folder
        self._on_step = on_step
        self._on_epoch = on_epoch
        self.network = build_network(recipe)
        if recipe.init:
            load_initial_weights(self.network, recipe.init)
        self.history: list[EpochRecord] = []
        self.epoch = 0
        """Epoch, from 1, whose weights ``run()`` returned; 0 before."""
        self._plateau = Plateau(rate=recipe.learning_rate)
        self.device_steps: DeviceSteps | None = None
        """The steps of a network with two heads; None for one head."""
        self._steps: Steps = self._make_steps()
        steps = len(self._steps)
        self._cosine = Cosine(peak=recipe.learning_rate, total_steps=recipe.epochs * steps, warmup_steps=int(recipe.warmup_epochs * steps))
        self._trains_base: bool | None = None

    def run(self) -> keras.Model:
        """Train to the last epoch, or until patience ends the run; return the network with the weights of the best epoch.

        Raises:
            DataError: A checkpoint in the folder has another recipe or other faces, a checkpoint cannot be written, or the
                loss is not finite.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._resume()
        if not self._is_finished():
            self._prepare()  # takes minutes: only after the checkpoint was accepted
        while not self._is_finished():
            self._run_epoch(len(self.history))
        best = checkpoints.load(self._folder / BEST)
        check_same_data(self._folder / BEST, best.meta, self._digests)
        self.network.set_weights(best.arrays["weights"])
        self.epoch = int(best.meta["epoch"])
        return self.network

    def _compile(self, *, train_base: bool) -> None:
        """Compile the network to train the pretrained base or not. A new optimizer starts without state."""
        if self._trains_base == train_base:
            return
        self._trains_base = train_base
        for layer in self.network.layers:
            if layer.name == BASE:
                layer.trainable = train_base
        self._steps.compile(_new_optimizer(self._recipe))

    def _make_steps(self) -> Steps:
        recipe = self._recipe
        if not recipe.two_heads:
            return HostSteps(self.network, recipe, self._training)
        teachers = load_teachers(recipe.teachers)
        if teachers:
            self._digests[TEACHERS] = digest_of(teachers)
        self.device_steps = DeviceSteps(self.network, recipe, self._training, teachers)
        return self.device_steps

    def _learning_rate(self, step: int) -> float:
        recipe = self._recipe
        scale = recipe.fine_tune_scale if self._trains_base and recipe.frozen_epochs else 1.0
        if recipe.schedule == "plateau":
            return scale * self._plateau.rate
        if recipe.schedule == "constant":
            return scale * recipe.learning_rate
        return scale * self._cosine.at(step)

    def _run_epoch(self, epoch: int) -> None:
        self._compile(train_base=epoch >= self._recipe.frozen_epochs)
        # Dropout on torch draws from the process's generator: without a new seed a resumed run would draw other values.
        keras.utils.set_random_seed(self._recipe.seed + epoch)
        started, first, rate, steps = time.monotonic(), epoch * len(self._steps), 0.0, len(self._steps)
        sums = np.zeros(2)
        self._on_step(epoch, 0, steps, 0.0)
        self._steps.start_epoch(epoch)
        for index in range(steps):
            rate = self._learning_rate(first + index)
            sums += self._steps.step(epoch, index, rate)
            self._on_step(epoch, index + 1, steps, sums[0] / (index + 1))
        loss, accuracy = (float(value) / steps for value in sums)
        if not math.isfinite(loss):
            raise DataError(f"epoch {epoch + 1}: the loss is {loss}; try a lower learning rate")
        self._end_epoch(epoch, loss, accuracy, rate, started)

    def _end_epoch(self, epoch: int, loss: float, accuracy: float, rate: float, started: float) -> None:
        with self._steps.averaged():
            scores = validate(self.network, self._validation, label_weight=self._recipe.label_weight)
        if not math.isfinite(scores.loss):
            raise DataError(f"epoch {epoch + 1}: the validation loss is {scores.loss}; try a lower learning rate")
        self._plateau.observe(scores.loss)
        self.history.append(
            EpochRecord(
                epoch=epoch + 1,
                loss=loss,
                accuracy=accuracy,
                val_loss=scores.loss,
                val_accuracy=scores.accuracy,
                val_majority_accuracy=scores.majority_accuracy,
                learning_rate=rate,
                seconds=round(time.monotonic() - started, 2),
            )
        )
        # The state first: after a kill between the two files the best weights are those of the state, and _resume() writes them.
        self._save_last()
        self._save_best()
        self._on_epoch(self.history)

    def _save_best(self) -> None:
        """Write the weights of the last epoch, if it is the best one."""
        if best_epoch(self.history) != len(self.history) - 1:
            return
        with self._steps.averaged():
            weights = [np.array(weight) for weight in self.network.get_weights()]
        meta = {"recipe": asdict(self._recipe), DATA: self._digests, "epoch": len(self.history)}
        checkpoints.save(self._folder / BEST, Checkpoint({"weights": weights}, meta))

    def _prepare(self) -> None:
        epoch = len(self.history)
        self._steps.prepare(lambda done, total: self._on_step(epoch, done, total, math.nan))

    def _is_finished(self) -> bool:
        patience = self._recipe.patience_epochs
        return len(self.history) >= self._recipe.epochs or bool(patience and epochs_without_progress(self.history) >= patience)

    def _save_last(self) -> None:
        arrays = {"model": values_of(self.network.variables), **self._steps.state()}
        meta = {
            "recipe": asdict(self._recipe),
            DATA: self._digests,
            "history": [asdict(record) for record in self.history],
            "plateau": asdict(self._plateau),
            "tuning": self._trains_base,
        }
        checkpoints.save(self._folder / LAST, Checkpoint(arrays, meta))

    def _resume(self) -> None:
        """Restore the state of the last finished epoch, if there is a checkpoint."""
        path = self._folder / LAST
        if not path.exists():
            return
        saved = checkpoints.load(path)
        check_same_recipe(path, saved.meta.get("recipe", {}), self._recipe)
        check_same_data(path, saved.meta, self._digests)
        self._compile(train_base=bool(saved.meta.get("tuning", True)))
        assign(path, self.network.variables, saved.arrays["model"])
        self._steps.restore(path, saved.arrays)
        self._plateau = Plateau(**saved.meta["plateau"])
        self.history = [EpochRecord(**record) for record in saved.meta["history"]]
        if not (self._folder / BEST).exists() or checkpoints.load(self._folder / BEST).meta.get("epoch") != len(self.history):
            self._save_best()


def _new_optimizer(recipe: Recipe) -> keras.optimizers.Optimizer:
    decay = recipe.weight_decay or None
    optimizer: keras.optimizers.Optimizer
    if recipe.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(recipe.learning_rate, momentum=0.9, nesterov=True, weight_decay=decay)
    elif recipe.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(recipe.learning_rate, weight_decay=recipe.weight_decay)
    else:
        optimizer = keras.optimizers.Adam(recipe.learning_rate, weight_decay=decay)
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    return optimizer
