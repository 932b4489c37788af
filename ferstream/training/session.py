"""Train a model: fit the network; then calibrate it, measure it and write its bundle, or write the file of its two heads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import keras

from ferstream.errors import DataError
from ferstream.inference.bundle import Bundle
from ferstream.training.data.dataset import FaceSet
from ferstream.training.data.selection import Selection
from ferstream.training.evaluation.bundle_metrics import bundle_metrics
from ferstream.training.evaluation.temperature import temperature_for
from ferstream.training.export.bundle_writer import BundleTarget, Measure, save_bundle
from ferstream.training.export.serving import serving_model
from ferstream.training.fitting.architectures import build
from ferstream.training.fitting.fit import LAST, Build, Fit, OnStep
from ferstream.training.fitting.history import EpochRecord
from ferstream.training.fitting.recipe import Recipe
from ferstream.training.fitting.run_files import log_tensorboard, write_run_files
from ferstream.training.fitting.validation import predict_logits
from ferstream.training.quiet import quiet_libraries
from ferstream.training.two_heads import TwoHeads, save_two_heads

TWO_HEADS_FILE = "two-heads.keras"
"""The network that a run with two heads writes into its folder."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Functions that are called while a run goes on.

    Attributes:
        on_step: Called with epoch (from 0), steps done, steps of the epoch, and the mean loss so far; see ``Fit``.
        on_epoch: Called with each epoch's numbers, once its files are written.
        on_phase: Called at the start of each phase beside the epochs, with what it does in words.
        on_note: Called with a line about the run that was measured.
    """

    on_step: OnStep = lambda *_: None
    on_epoch: Callable[[EpochRecord], None] = lambda _: None
    on_phase: Callable[[str], None] = lambda _: None
    on_note: Callable[[str], None] = lambda _: None


def train(
    selection: Selection,
    *,
    recipe: Recipe,
    folder: Path,
    target: BundleTarget,
    command: str = "",
    progress: Progress = Progress(),
    build_network: Build = build,
    measure: Callable[[Bundle, FaceSet, str], dict[str, Any]] = bundle_metrics,
) -> Bundle:
    """Train in ``folder`` and write the bundle. The same call resumes an interrupted run after its last finished epoch.

    Args:
        selection: The faces.
        recipe: The settings of the run.
        folder: Receives checkpoints, ``history.json``, ``curves.png`` and TensorBoard files.
        target: The bundle to write.
        command: The command line, for the bundle's recipe and card.
        progress: Called during the run.
        build_network: Builds the network of a recipe.
        measure: Returns the metrics that the bundle records, from a draft of it, all faces and the validation split.

    Raises:
        DataError: The faces or a checkpoint do not fit the run, or the folder cannot be written.
        BundleError: The target exists and is not to be replaced, or its name or version is not valid.
    """
    target.check()
    fit = _fitted(selection, recipe, folder, progress, build_network)
    provenance = _provenance(selection, recipe, command, fit.epoch)
    progress.on_phase(f"calibrating and measuring the model on {len(selection.validation)} faces, and writing the bundle")
    with quiet_libraries():
        return _write_bundle(
            fit.network, selection, target, provenance, measure=lambda draft: measure(draft, selection.faces, selection.usage)
        )


def train_two_heads(
    selection: Selection,
    *,
    recipe: Recipe,
    folder: Path,
    command: str = "",
    progress: Progress = Progress(),
    build_network: Build = build,
) -> Path:
    """Train a network with two heads in ``folder`` and write ``two-heads.keras`` there; ``ferstream balance`` makes a bundle of it.

    The same call resumes an interrupted run after its last finished epoch. For the arguments see ``train``.

    Raises:
        DataError: The faces or a checkpoint do not fit the run, or the folder cannot be written.
        ModelError: A teacher is not a network with two heads.
    """
    fit = _fitted(selection, recipe, folder, progress, build_network)
    assert fit.device_steps is not None
    progress.on_phase("writing the network with two heads")
    about = TwoHeads.model_validate(
        {
            "architecture": recipe.arch,
            "priors": fit.device_steps.priors,
            "recipe": _provenance(selection, recipe, command, fit.epoch),
        }
    )
    plain = build_network(replace(recipe, precision="float32"))
    plain.set_weights(fit.network.get_weights())
    path = folder / TWO_HEADS_FILE
    with _writing(folder), quiet_libraries():
        save_two_heads(plain, path, about)
    return path


def _fitted(selection: Selection, recipe: Recipe, folder: Path, progress: Progress, build_network: Build) -> Fit:
    """Return a finished run; its network has the weights of the best epoch."""
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    epochs = 0

    def after_epoch(history: list[EpochRecord]) -> None:
        nonlocal epochs
        with _writing(folder):
            write_run_files(folder, history)
            log_tensorboard(folder, history[-1])
        progress.on_epoch(history[-1])
        epochs += 1
        if epochs == 1 and fit.device_steps is not None and fit.device_steps.speed is not None:
            progress.on_note(str(fit.device_steps.speed))

    progress.on_phase("building the network")
    fit = Fit(
        recipe=recipe,
        training=selection.training,
        validation=selection.validation,
        folder=folder,
        on_step=progress.on_step,
        on_epoch=after_epoch,
        build_network=build_network,
    )
    if (folder / LAST).exists():
        progress.on_phase(f"resuming the run in {folder}")
    fit.run()
    with _writing(folder):  # once more, for a run that was killed between its last checkpoint and these files
        write_run_files(folder, fit.history)
    return fit


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Translate an error of the file system into one line. The checkpoint of the last epoch is on disk by then."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{folder}: cannot be written: {error.strerror or error}; checkpoints in it are intact") from error


def _provenance(selection: Selection, recipe: Recipe, command: str, epoch: int) -> dict[str, Any]:
    """Return how a model was made, as its manifest records it."""
    return {
        "arch": recipe.arch,
        "command": command,
        "best_epoch": epoch,
        "keras_backend": keras.backend.backend(),
        "settings": asdict(recipe),
        "faces": {
            "training": len(selection.training),
            selection.usage: len(selection.validation),
            "faulty_kept": selection.keep_faulty,
        },
    }


def _write_bundle(
    network: keras.Model, selection: Selection, target: BundleTarget, provenance: dict[str, Any], *, measure: Measure
) -> Bundle:
    temperature = temperature_for(predict_logits(network, selection.validation.pixels), selection.validation)
    return save_bundle(
        serving_model(network, logits=True, temperature=temperature),
        target,
        temperature=temperature,
        card=_card(target, provenance),
        recipe=provenance,
        measure=measure,
    )


def _card(target: BundleTarget, provenance: dict[str, Any]) -> str:
    """Return a first ``CARD.md``, to be completed by people."""
    return (
        f"# {target.name} {target.version}\n\n"
        f"Architecture `{provenance['arch']}`, best epoch {provenance['best_epoch']}. Made by:\n\n```\n{provenance['command']}\n```\n\n"
        "Numbers: `metrics` in `manifest.json`; settings: `recipe` there. Measure again with `ferstream evaluate`.\n"
        "To be added: what the model is for, on which faces it fails, and the licence of its training data.\n"
    )
