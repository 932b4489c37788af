"""The training loop: one recipe on any Keras backend, resumable after a kill at any moment.

``train_on_batch`` instead of ``fit``: every step is a place where weights can be read on the host,
so averaging, checkpoints and the step-wise learning rate are the same on TensorFlow, JAX and torch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ferstream.errors import DataError
from ferstream.training.architectures import BASE, build
from ferstream.training.data.batches import TrainingBatches
from ferstream.training.data.dataset import FaceSet
from ferstream.training.evaluation.scoring import validate
from ferstream.training.fitting import checkpoint as checkpoints
from ferstream.training.fitting.averaging import WeightAverage
from ferstream.training.fitting.checkpoint import Checkpoint
from ferstream.training.fitting.history import EpochRecord, best_epoch
from ferstream.training.fitting.initial_weights import start_from
from ferstream.training.fitting.recipe import Recipe
from ferstream.training.fitting.resume_check import DATA, check_same_data, check_same_recipe, data_digests
from ferstream.training.fitting.schedule import Cosine, Plateau
from ferstream.training.fitting.teacher import teacher_targets

LAST = "last.npz"
BEST = "best.npz"

OnStep = Callable[[int, int, int, float], None]
OnEpoch = Callable[[list[EpochRecord]], None]


class Fit:
    """One training run in a folder: make it, ``run()`` it; an interrupted one goes on where it was."""

    def __init__(
        self,
        *,
        recipe: Recipe,
        training: FaceSet,
        validation: FaceSet,
        folder: Path,
        on_step: OnStep = lambda *_: None,
        on_epoch: OnEpoch = lambda _: None,
    ) -> None:
        """Build the network.

        Args:
            recipe: What to do.
            training: The faces to learn from.
            validation: The faces that choose the best epoch.
            folder: Where checkpoints go; made when missing.
            on_step: Called with epoch (0-based), steps done, steps in all and the running loss; NaN while a teacher is asked first.
            on_epoch: Called with the history after each epoch's checkpoint is on disk.
        """
        self._recipe = recipe
        self._data = data_digests(training, validation)
        self._training, self._validation = training, validation
        self._folder = folder
        self._on_step = on_step
        self._on_epoch = on_epoch
        self._batches = TrainingBatches(
            faces=training,
            batch=recipe.batch,
            seed=recipe.seed,
            augmentation=recipe.augmentation,
            label_weight=recipe.label_weight,
            smoothing=recipe.smoothing,
            mixup=recipe.mixup,
            class_weights=recipe.class_weights,
        )
        self.network = build(recipe)
        if recipe.init:
            start_from(self.network, recipe.init)
        self.history: list[EpochRecord] = []
        self._average = WeightAverage(decay=recipe.average) if recipe.average else None
        self._plateau = Plateau(rate=recipe.learning_rate)
        self._tuning: bool | None = None

    def run(self) -> keras.Model:
        """Train to the last epoch or until patience ends; return the network with its best weights.

        Raises:
            DataError: A checkpoint in the folder is of another recipe or of other faces, one cannot be written, or the loss diverged.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._resume()
        if self._recipe.teacher and not self._finished():
            self._ask(self._recipe.teacher)  # which takes a while: not before the checkpoint was accepted
        while not self._finished():
            self._epoch(len(self.history))
        best = checkpoints.load(self._folder / BEST)
        check_same_data(self._folder / BEST, best.meta, self._data)
        self.network.set_weights(best.arrays["weights"])
        return self.network

    def _enter(self, *, tuning: bool) -> None:
        """Compile for training the head alone, or (``tuning``) the whole network; the optimizer starts afresh."""
        if self._tuning == tuning:
            return
        self._tuning = tuning
        for layer in self.network.layers:
            if layer.name == BASE:
                layer.trainable = tuning
        self.network.compile(
            optimizer=_optimizer(self._recipe),
            loss=keras.losses.CategoricalCrossentropy(from_logits=True),
            metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
            jit_compile=keras.backend.backend() == "jax",  # JAX runs op by op without; the others were measured faster so
        )
        # What compile made of it: mixed_float16 wraps the optimizer, and only a built one can take a checkpoint's state.
        self.network.optimizer.build(self.network.trainable_variables)

    def _rate(self, step: int) -> float:
        recipe, steps = self._recipe, len(self._batches)
        scale = recipe.fine_tune_scale if self._tuning and recipe.frozen_epochs else 1.0
        if recipe.schedule == "plateau":
            return scale * self._plateau.rate
        if recipe.schedule == "constant":
            return scale * recipe.learning_rate
        return scale * Cosine(recipe.learning_rate, recipe.epochs * steps, int(recipe.warmup_epochs * steps)).at(step)

    def _epoch(self, epoch: int) -> None:
        self._enter(tuning=epoch >= self._recipe.frozen_epochs)
        # Dropout on torch draws from the process's generator: seed it, or a resumed run sees other noise.
        keras.utils.set_random_seed(self._recipe.seed + epoch)
        started, first, rate = time.monotonic(), epoch * len(self._batches), 0.0
        sums = np.zeros(2)
        for index, (faces, targets, weights) in enumerate(self._batches.epoch(epoch)):
            rate = self._rate(first + index)
            self.network.optimizer.learning_rate = rate
            logs = self.network.train_on_batch(faces, targets, sample_weight=weights, return_dict=True)
            self.network.reset_metrics()
            sums += (float(logs["loss"]), float(logs["accuracy"]))
            if self._average is not None:
                self._average.update(self.network, first + index)
            self._on_step(epoch, index + 1, len(self._batches), sums[0] / (index + 1))
        loss, accuracy = (float(value) / len(self._batches) for value in sums)
        if not math.isfinite(loss):
            raise DataError(f"epoch {epoch + 1}: the loss is {loss}; try a lower learning rate")
        self._finish(epoch, loss, accuracy, rate, started)

    def _finish(self, epoch: int, loss: float, accuracy: float, rate: float, started: float) -> None:
        with self._averaged():
            scores = validate(self.network, self._validation, label_weight=self._recipe.label_weight)
            weights = [np.array(weight) for weight in self.network.get_weights()]
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
        # The best weights first: a kill in between repeats the epoch and writes them again.
        if best_epoch(self.history) == epoch:
            facts = {"recipe": asdict(self._recipe), DATA: self._data, "epoch": epoch + 1}
            checkpoints.save(self._folder / BEST, Checkpoint({"weights": weights}, facts))
        self._save()
        self._on_epoch(self.history)

    def _averaged(self) -> AbstractContextManager[None]:
        return self._average.applied(self.network) if self._average is not None else nullcontext()

    def _ask(self, teacher: str) -> None:
        epoch = len(self.history)
        taught = teacher_targets(teacher, self._training.pixels, on_asked=lambda done, of: self._on_step(epoch, done, of, math.nan))
        self._batches.blend_in(taught, self._recipe.teacher_weight)

    def _finished(self) -> bool:
        return len(self.history) >= self._recipe.epochs or self._out_of_patience()

    def _out_of_patience(self) -> bool:
        patience = self._recipe.patience_epochs
        return bool(patience and self.history and len(self.history) - 1 - best_epoch(self.history) >= patience)

    def _save(self) -> None:
        arrays = {"model": _values(self.network.variables), "optimizer": _values(self.network.optimizer.variables)}
        if self._average is not None:
            arrays["average"] = list(self._average.weights)
        meta = {
            "recipe": asdict(self._recipe),
            DATA: self._data,
            "history": [asdict(record) for record in self.history],
            "plateau": asdict(self._plateau),
            "tuning": self._tuning,
        }
        checkpoints.save(self._folder / LAST, Checkpoint(arrays, meta))

    def _resume(self) -> None:
        path = self._folder / LAST
        if not path.exists():
            return
        saved = checkpoints.load(path)
        check_same_recipe(path, saved.meta.get("recipe", {}), self._recipe)
        check_same_data(path, saved.meta, self._data)
        self._enter(tuning=bool(saved.meta.get("tuning", True)))
        _assign(path, self.network.variables, saved.arrays["model"])
        _assign(path, self.network.optimizer.variables, saved.arrays["optimizer"])
        if self._average is not None:
            self._average.restore(saved.arrays["average"])
        self._plateau = Plateau(**saved.meta["plateau"])
        self.history = [EpochRecord(**record) for record in saved.meta["history"]]


def _optimizer(recipe: Recipe) -> keras.optimizers.Optimizer:
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


def _values(variables: list[Any]) -> list[Any]:
    return [np.asarray(keras.ops.convert_to_numpy(variable)) for variable in variables]


def _assign(path: Path, variables: list[Any], values: list[Any]) -> None:
    shapes = [tuple(variable.shape) for variable in variables]
    if shapes != [value.shape for value in values]:
        raise DataError(f"{path}: the arrays do not fit the network; the checkpoint is of another version; choose another --out")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
