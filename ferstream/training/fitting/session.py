"""From labelled faces to a bundle: data checked, network fitted, calibrated, measured and written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from ferstream.errors import DataError
from ferstream.inference.backends import open_classifier
from ferstream.inference.bundle import Bundle, check_target
from ferstream.training.data.dataset import FaceSet
from ferstream.training.data.targets import NO_MAJORITY
from ferstream.training.evaluation import plots
from ferstream.training.evaluation.calibration import fit_temperature
from ferstream.training.evaluation.evaluate import evaluate, true_classes
from ferstream.training.evaluation.quality import inspect
from ferstream.training.evaluation.report import training_faces, unseen_faces
from ferstream.training.evaluation.scoring import predict_logits
from ferstream.training.evaluation.serving import save_bundle, serving_model
from ferstream.training.evaluation.timing import cost
from ferstream.training.fitting import tensorboard
from ferstream.training.fitting.fit import Fit, OnStep
from ferstream.training.fitting.history import EpochRecord, best_epoch, write_history
from ferstream.training.fitting.recipe import Recipe

CURVES = "curves.png"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a trained model goes and what it is called."""

    directory: Path
    name: str
    version: str
    command: str = ""
    replace: bool = False


def train(
    faces: FaceSet,
    *,
    recipe: Recipe,
    folder: Path,
    target: Target,
    usage: str = "PublicTest",
    keep_faulty: bool = False,
    on_step: OnStep = lambda *_: None,
    on_epoch: Callable[[EpochRecord], None] = lambda _: None,
) -> Bundle:
    """Train in ``folder`` and write the bundle; an interrupted run goes on where it was.

    Args:
        faces: All splits.
        recipe: What to do.
        folder: Checkpoints, ``history.json``, ``curves.png``, TensorBoard files.
        target: The bundle to write.
        usage: The split that chooses the best epoch and the temperature; faces seen in Training are left out.
        keep_faulty: Whether blank, broken and repeated faces train too; those also in a test split never do.
        on_step: Called with epoch (0-based), steps done, steps in all, running loss.
        on_epoch: Called with each epoch's numbers once its files are written.

    Raises:
        DataError: The data or a checkpoint does not fit.
        BundleError: The bundle exists and is not to be replaced, or its name or version does not fit.
    """
    check_target(directory=target.directory, name=target.name, version=target.version, replace=target.replace)

    def after_epoch(history: list[EpochRecord]) -> None:
        with _writing(folder):
            write_history(folder, history)
            plots.training_curves(history, folder / CURVES)
            tensorboard.log_epoch(folder, history[-1])
        on_epoch(history[-1])

    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    quality = inspect(faces)
    training = training_faces(faces, quality, keep_faulty=keep_faulty)
    validation = unseen_faces(faces, usage, quality)
    fit = Fit(
        recipe=recipe,
        training=training,
        validation=validation,
        folder=folder,
        on_step=on_step,
        on_epoch=after_epoch,
    )
    network = fit.run()
    with _writing(folder):  # again, for a run that was killed between its last checkpoint and its last picture
        write_history(folder, fit.history)
        plots.training_curves(fit.history, folder / CURVES)
    how = {
        "arch": recipe.arch,
        "command": target.command,
        "best_epoch": fit.history[best_epoch(fit.history)].epoch,
        "keras_backend": keras.backend.backend(),
        "settings": asdict(recipe),
        "faces": {"training": len(training), usage: len(validation), "faulty_kept": keep_faulty},
    }
    return finish(network, faces, validation, usage=usage, target=target, how=how)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Tell a full or read-only disk in one line; checkpoints are safe by then."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{folder}: cannot be written: {error.strerror or error}; checkpoints in it are intact") from error


def finish(network: keras.Model, faces: FaceSet, validation: FaceSet, *, usage: str, target: Target, how: dict[str, Any]) -> Bundle:
    """Calibrate a trained network, measure what will be served, and write it all as a bundle."""
    temperature = calibrate(network, validation)
    return save_bundle(
        serving_model(network, logits=True, temperature=temperature),
        directory=target.directory,
        name=target.name,
        version=target.version,
        temperature=temperature,
        card=card_text(target, how),
        recipe=how,
        replace=target.replace,
        measure=lambda draft: measure(draft, faces, usage),
    )


def calibrate(network: keras.Model, faces: FaceSet) -> float:
    """Return the temperature that fits the classes that were taught: FER+ majorities where there are votes, else the labels."""
    truth = true_classes(faces, "fer2013" if faces.votes is None else "ferplus")
    judged = truth != NO_MAJORITY
    if not judged.any():
        return 1.0
    return fit_temperature(predict_logits(network, faces.pixels[judged]), truth[judged])


def measure(bundle: Bundle, faces: FaceSet, usage: str) -> dict[str, Any]:
    """Return what the bundle as served scores on a split, and what a face costs."""
    classifier = open_classifier(bundle, backend="openvino")
    metrics: dict[str, Any] = {}
    try:
        for truth in ("fer2013",) if faces.votes is None else ("fer2013", "ferplus"):
            numbers = evaluate(classifier.classify, faces, usage=usage, truth=truth).as_json()
            metrics[f"{usage}, {truth}"] = {key: value for key, value in numbers.items() if isinstance(value, int | float)}
    finally:
        classifier.close()
    return metrics | cost(bundle)


def card_text(target: Target, how: dict[str, Any]) -> str:
    """Return a first ``CARD.md``; numbers stand in the manifest, judgement is left to people."""
    return (
        f"# {target.name} {target.version}\n\n"
        f"Architecture `{how['arch']}`, best epoch {how['best_epoch']}. Made by:\n\n```\n{target.command}\n```\n\n"
        "Numbers: `metrics` in `manifest.json`; settings: `recipe` there. Measure again with `ferstream evaluate`.\n"
        "Say here what it is for, on whom it fails, and under which terms its data may be used.\n"
    )


def first_rows(faces: FaceSet, rows: int) -> FaceSet:
    """Return at most the first ``rows`` faces of each split, for a quick try."""
    keep = np.zeros(len(faces), np.bool_)
    for usage in np.unique(faces.usages):
        members: npt.NDArray[np.int64] = np.flatnonzero(faces.usages == usage)
        keep[members[:rows]] = True
    return faces.where(keep)
