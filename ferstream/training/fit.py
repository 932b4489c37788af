"""The training loop: one recipe on any Keras backend, resumable after a kill at any moment."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from ferstream.errors import DataError
from ferstream.training import checkpoint as checkpoints
from ferstream.training.architectures import ARCHITECTURES
from ferstream.training.augment import Augmentation
from ferstream.training.averaging import WeightAverage
from ferstream.training.batches import TrainingBatches
from ferstream.training.checkpoint import Checkpoint
from ferstream.training.schedule import Cosine, Plateau
from ferstream.training.targets import NO_MAJORITY, majority, soft_targets

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from ferstream.training.dataset import FaceSet

LAST = "last.npz"
BEST = "best.npz"
EVAL_BATCH = 256


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides what a run computes, apart from the data.

    ``schedule`` is cosine, plateau or constant; ``average`` the decay of the weight average a
    step, 0 = off; ``label_weight`` the share of the original label beside FER+ votes;
    ``patience_epochs`` 0 = never stop early; ``precision`` a Keras dtype policy.
    """

    arch: str = "edge"
    epochs: int = 40
    batch: int = 128
    optimizer: str = "adamw"
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    schedule: str = "cosine"
    warmup_epochs: float = 2.0
    average: float = 0.998
    label_weight: float = 0.0
    smoothing: float = 0.0
    mixup: float = 0.0
    class_weights: bool = False
    patience_epochs: int = 0
    precision: str = "float32"
    seed: int = 1
    augmentation: Augmentation | None = field(default_factory=Augmentation)
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """What one epoch did: a row of ``history.json``."""

    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    val_majority_accuracy: float | None
    learning_rate: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Validation:
    """Scores on the validation faces; ``majority_accuracy`` only with FER+ votes."""

    loss: float
    accuracy: float
    majority_accuracy: float | None


class Fit:
    """One training run in a folder: make it, ``run()`` it; an interrupted one goes on where it was."""

    def __init__(
        self,
        *,
        recipe: Recipe,
        training: FaceSet,
        validation: FaceSet,
        folder: Path,
        on_step: Callable[[int, int, int, float], None] = lambda *_: None,
        on_epoch: Callable[[list[EpochRecord]], None] = lambda _: None,
    ) -> None:
        """Build the network and the optimizer.

        Args:
            recipe: what to do.
            training: the faces to learn from.
            validation: the faces that choose the best epoch.
            folder: where checkpoints go; made when missing.
            on_step: called with epoch, step, steps and the running loss.
            on_epoch: called with the history after each epoch's checkpoint.
        """
        keras.utils.set_random_seed(recipe.seed)
        keras.mixed_precision.set_global_policy(recipe.precision)
        try:
            self.model = ARCHITECTURES[recipe.arch](**recipe.options)
        finally:
            keras.mixed_precision.set_global_policy("float32")
        self._recipe = recipe
        self._validation = validation
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
        self._average = WeightAverage(decay=recipe.average) if recipe.average else None
        self._plateau = Plateau(rate=recipe.learning_rate)
        self.history: list[EpochRecord] = []
        self._compile()

    def run(self) -> keras.Model:
        """Train to the last epoch or until patience ends; return the network with its best weights.

        Raises:
            DataError: a checkpoint in the folder is of another recipe, or cannot be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._resume()
        while len(self.history) < self._recipe.epochs and not self._out_of_patience():
            self._epoch(len(self.history))
        self.model.set_weights(checkpoints.load(self._folder / BEST).arrays["weights"])
        return self.model

    def _compile(self) -> None:
        recipe = self._recipe
        rate = recipe.learning_rate
        optimizer: keras.optimizers.Optimizer
        if recipe.optimizer == "sgd":
            optimizer = keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, weight_decay=recipe.weight_decay)
        else:
            kind = keras.optimizers.AdamW if recipe.optimizer == "adamw" else keras.optimizers.Adam
            optimizer = kind(rate, weight_decay=recipe.weight_decay or None)
        optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
        optimizer.build(self.model.trainable_variables)
        self.model.compile(
            optimizer=optimizer,
            loss=keras.losses.CategoricalCrossentropy(from_logits=True),
            metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
            jit_compile=False,
        )

    def _rate(self, step: int) -> float:
        recipe, steps = self._recipe, len(self._batches)
        if recipe.schedule == "plateau":
            return self._plateau.rate
        if recipe.schedule == "constant":
            return recipe.learning_rate
        return Cosine(recipe.learning_rate, recipe.epochs * steps, int(recipe.warmup_epochs * steps)).at(step)

    def _epoch(self, epoch: int) -> None:
        started = time.monotonic()
        steps = len(self._batches)
        self.model.reset_metrics()
        logs: dict[str, float] = {}
        rate = 0.0
        for index, (faces, targets, weights) in enumerate(self._batches.epoch(epoch)):
            step = epoch * steps + index
            rate = self._rate(step)
            self.model.optimizer.learning_rate = rate
            logs = self.model.train_on_batch(faces, targets, sample_weight=weights, return_dict=True)
            if self._average is not None:
                self._average.update(self.model, step)
            self._on_step(epoch, index + 1, steps, float(logs["loss"]))
        if not math.isfinite(float(logs["loss"])):
            raise DataError(f"epoch {epoch + 1}: the loss is {float(logs['loss'])}; try a lower learning rate")
        self._finish(epoch, logs, rate, started)

    def _finish(self, epoch: int, logs: dict[str, float], rate: float, started: float) -> None:
        with self._averaged():
            scores = self.validate()
            weights = self.model.get_weights()
        self._plateau.observe(scores.loss)
        self.history.append(
            EpochRecord(
                epoch=epoch + 1,
                loss=float(logs["loss"]),
                accuracy=float(logs["accuracy"]),
                val_loss=scores.loss,
                val_accuracy=scores.accuracy,
                val_majority_accuracy=scores.majority_accuracy,
                learning_rate=rate,
                seconds=time.monotonic() - started,
            )
        )
        if self._best_epoch() == epoch:
            meta = {"recipe": asdict(self._recipe), "epoch": epoch + 1}
            checkpoints.save(self._folder / BEST, Checkpoint({"weights": weights}, meta))
        self._save()
        self._on_epoch(self.history)

    def _averaged(self) -> Any:
        return (self._average or WeightAverage(decay=0.0)).applied(self.model)

    def validate(self) -> Validation:
        """Score the validation faces with the network as it is."""
        faces = self._validation
        logits = predict_logits(self.model, faces.pixels)
        best = logits.argmax(axis=1)
        log_probability = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
        targets = soft_targets(faces, label_weight=self._recipe.label_weight)
        agreed: float | None = None
        if faces.votes is not None:
            voted = majority(faces.votes)
            agreed = float((best == voted)[voted != NO_MAJORITY].mean())
        return Validation(
            loss=float(-(targets * log_probability).sum(axis=1).mean()),
            accuracy=float((best == faces.labels).mean()),
            majority_accuracy=agreed,
        )

    def _score(self, record: EpochRecord) -> float:
        """What the best epoch is best in: agreement with the labels that were taught."""
        return record.val_accuracy if record.val_majority_accuracy is None else record.val_majority_accuracy

    def _best_epoch(self) -> int:
        scores = [self._score(record) for record in self.history]
        return int(np.argmax(scores))

    def _out_of_patience(self) -> bool:
        patience = self._recipe.patience_epochs
        return bool(patience and self.history and len(self.history) - 1 - self._best_epoch() >= patience)

    def _save(self) -> None:
        variables = [np.asarray(keras.ops.convert_to_numpy(v)) for v in self.model.variables]
        optimizer = [np.asarray(keras.ops.convert_to_numpy(v)) for v in self.model.optimizer.variables]
        arrays = {"model": variables, "optimizer": optimizer}
        if self._average is not None:
            arrays["average"] = list(self._average.weights)
        meta = {
            "recipe": asdict(self._recipe),
            "history": [asdict(record) for record in self.history],
            "plateau": asdict(self._plateau),
        }
        checkpoints.save(self._folder / LAST, Checkpoint(arrays, meta))

    def _resume(self) -> None:
        path = self._folder / LAST
        if not path.exists():
            return
        saved = checkpoints.load(path)
        self._check_same(path, saved.meta["recipe"])
        for variable, value in zip(self.model.variables, saved.arrays["model"], strict=True):
            variable.assign(value)
        for variable, value in zip(self.model.optimizer.variables, saved.arrays["optimizer"], strict=True):
            variable.assign(value)
        if self._average is not None:
            self._average.restore(saved.arrays["average"])
        self._plateau = Plateau(**saved.meta["plateau"])
        self.history = [EpochRecord(**record) for record in saved.meta["history"]]

    def _check_same(self, path: Path, saved: dict[str, Any]) -> None:
        ours = asdict(self._recipe)
        if saved["arch"] != ours["arch"]:
            raise DataError(f"{path}: a checkpoint of the architecture {saved['arch']!r}, not {ours['arch']!r}")
        free = {"epochs"} if self._recipe.schedule != "cosine" else set()
        changed = [key for key in ours if key not in free and saved.get(key) != ours[key]]
        if changed:
            raise DataError(
                f"{path}: the run was started with {changed[0]} = {saved.get(changed[0])!r}, not "
                f"{ours[changed[0]]!r}; use the same settings or another folder"
            )


def predict_logits(model: keras.Model, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the network's outputs (N, 7) float32 for faces (N, 48, 48) uint8."""
    outputs = []
    for start in range(0, len(pixels), EVAL_BATCH):
        part = pixels[start : start + EVAL_BATCH, :, :, None]
        missing = EVAL_BATCH - len(part)
        padded = np.pad(part, ((0, missing), (0, 0), (0, 0), (0, 0)))
        outputs.append(np.asarray(model.predict_on_batch(padded), np.float32)[: len(part)])
    return np.concatenate(outputs)
