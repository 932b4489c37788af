from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.face_sets import make_faces

pytest.importorskip("keras")

from ferstream.errors import DataError
from ferstream.training.data.dataset import FaceSet
from ferstream.training.fitting import checkpoint as checkpoints
from ferstream.training.fitting.checkpoint import load
from ferstream.training.fitting.fit import BEST, LAST, Fit
from ferstream.training.fitting.history import best_epoch
from ferstream.training.fitting.recipe import Precision, Recipe
from tests.support.bundles import in_precision, tiny_network

FACES = make_faces(56, 28)
RECIPE = Recipe(epochs=3, batch=14, learning_rate=3e-3, warmup_epochs=1, average=0.5, augmentation=None)


def build_tiny(recipe: Recipe) -> Any:
    """A network that trains in milliseconds."""
    return in_precision(recipe.precision, tiny_network)


def make(folder: Path, recipe: Recipe = RECIPE, **options: Any) -> Fit:
    values: dict[str, Any] = {
        "training": FACES.of_usage("Training"),
        "validation": FACES.of_usage("PublicTest"),
        "build_network": build_tiny,
        **options,
    }
    return Fit(recipe=recipe, folder=folder, **values)


def test_a_run_learns_and_returns_the_best_weights(tmp_path: Path) -> None:
    fit = make(tmp_path, replace(RECIPE, epochs=8))

    network = fit.run()

    assert [record.epoch for record in fit.history] == list(range(1, 9))
    assert fit.history[-1].val_loss < fit.history[0].val_loss
    for ours, saved in zip(network.get_weights(), load(tmp_path / BEST).arrays["weights"], strict=True):
        np.testing.assert_array_equal(ours, saved)


class Killed(Exception):
    """Takes the place of a kill."""


@pytest.mark.parametrize(("step", "precision"), [(1, "float32"), (5, "float32"), (8, "float32"), (6, "mixed_float16")])
def test_a_killed_run_resumes_to_the_same_losses(tmp_path: Path, step: int, precision: Precision) -> None:
    recipe = replace(RECIPE, precision=precision)
    whole = make(tmp_path / "whole", recipe)
    whole.run()
    steps = 0

    def kill(*_: Any) -> None:
        nonlocal steps
        steps += 1
        if steps == step:
            raise Killed

    with pytest.raises(Killed):
        make(tmp_path / "killed", recipe, on_step=kill).run()
    resumed = make(tmp_path / "killed", recipe)
    resumed.run()

    assert [record.epoch for record in resumed.history] == [1, 2, 3]
    for ours, theirs in zip(resumed.history, whole.history, strict=True):
        assert ours.loss == pytest.approx(theirs.loss, rel=1e-4)
        assert ours.val_loss == pytest.approx(theirs.val_loss, rel=1e-4)


def test_a_run_that_ends_between_the_two_checkpoints_writes_the_best_weights_when_it_is_resumed(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    (tmp_path / f"{BEST}.part").symlink_to("/dev/full")  # best.npz cannot be written, after last.npz was
    with pytest.raises(DataError, match="could not be written"):
        make(tmp_path).run()
    assert (tmp_path / LAST).exists()
    assert not (tmp_path / BEST).exists()

    resumed = make(tmp_path)
    resumed.run()

    assert len(resumed.history) == 3
    assert resumed.epoch == load(tmp_path / BEST).meta["epoch"] == best_epoch(resumed.history) + 1


def test_the_best_weights_of_a_resumed_run_are_those_of_the_epoch_that_its_history_names(tmp_path: Path) -> None:
    """The file of the best weights is lost with the kill; the last epoch was the best, and its averaged weights are in the state."""
    recipe = replace(RECIPE, epochs=1, schedule="constant")
    first = make(tmp_path, recipe).run().get_weights()
    (tmp_path / BEST).unlink()

    again = make(tmp_path, recipe)

    for ours, theirs in zip(again.run().get_weights(), first, strict=True):
        assert ours == pytest.approx(theirs)
    assert again.epoch == 1


def test_of_two_epochs_with_equal_accuracy_the_one_with_the_lower_loss_is_returned(tmp_path: Path) -> None:
    """The rate is too low to change an answer, and high enough to lower the loss in each epoch."""
    fit = make(tmp_path, replace(RECIPE, learning_rate=1e-7, schedule="constant", optimizer="sgd", average=0.0))

    fit.run()

    assert len({record.score for record in fit.history}) == 1
    losses = [record.val_loss for record in fit.history]
    assert fit.epoch == losses.index(min(losses)) + 1


def test_a_validation_loss_that_is_not_finite_ends_the_run_before_a_checkpoint(tmp_path: Path) -> None:
    steps = len(FACES.of_usage("Training")) // RECIPE.batch

    def spoil(epoch: int, done: int, _steps: int, _loss: float) -> None:
        if epoch == 1 and done == steps:  # after the last step: the training loss is finite
            for weight in fit.network.trainable_variables:
                weight.assign(np.full(weight.shape, np.nan))

    fit = make(tmp_path, replace(RECIPE, average=0.0), on_step=spoil)
    with pytest.raises(DataError, match="epoch 2: the validation loss is nan; try a lower learning rate"):
        fit.run()
    assert len(load(tmp_path / LAST).meta["history"]) == 1


def test_an_epoch_is_announced_before_its_first_step(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    make(tmp_path, replace(RECIPE, epochs=1), on_step=lambda epoch, done, *_: seen.append((epoch, done))).run()
    assert seen == [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4)]


def test_a_finished_run_is_not_repeated(tmp_path: Path) -> None:
    make(tmp_path).run()

    def never(*_: Any) -> None:
        raise AssertionError("no step was left")

    again = make(tmp_path, on_step=never)
    again.run()

    assert len(again.history) == 3


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (replace(RECIPE, arch="sequential3"), "the checkpoint has the architecture 'edge', not 'sequential3'"),
        (replace(RECIPE, learning_rate=1e-4), "started with learning_rate = 0.003, not 0.0001"),
        (replace(RECIPE, epochs=9), "started with epochs = 3, not 9"),
    ],
)
def test_a_checkpoint_with_another_recipe_is_refused_and_kept(tmp_path: Path, changed: Recipe, says: str) -> None:
    make(tmp_path).run()
    before = (tmp_path / LAST).read_bytes()

    with pytest.raises(DataError, match=says):
        make(tmp_path, changed).run()

    assert (tmp_path / LAST).read_bytes() == before


def _other_pixels(faces: FaceSet) -> FaceSet:
    return replace(faces, pixels=faces.pixels[::-1].copy())


def _other_votes(faces: FaceSet) -> FaceSet:
    return replace(faces, votes=None)


def _as_private(faces: FaceSet) -> FaceSet:
    return replace(faces, usages=np.full(len(faces), "PrivateTest"))


@pytest.mark.parametrize(
    ("of", "change", "says"),
    [
        ("training", _other_pixels, "other training faces"),
        ("training", _other_votes, "other training faces"),
        ("validation", _other_pixels, "other validation faces"),
        ("validation", _as_private, "other validation split"),
    ],
)
def test_a_checkpoint_of_other_faces_is_refused_and_kept(tmp_path: Path, of: str, change: Callable[[FaceSet], FaceSet], says: str) -> None:
    training, validation = FACES.of_usage("Training"), FACES.of_usage("PublicTest")
    make(tmp_path).run()
    before = (tmp_path / LAST).read_bytes()

    with pytest.raises(DataError, match=rf"{tmp_path.name}: the run was started with {says}; choose another --out"):
        make(
            tmp_path,
            training=change(training) if of == "training" else training,
            validation=change(validation) if of == "validation" else validation,
        ).run()

    assert (tmp_path / LAST).read_bytes() == before


@pytest.mark.parametrize("name", [LAST, BEST])
def test_a_checkpoint_without_digests_is_refused(tmp_path: Path, name: str) -> None:
    make(tmp_path).run()
    saved = load(tmp_path / name)
    checkpoints.save(tmp_path / name, replace(saved, meta={key: value for key, value in saved.meta.items() if key != "data"}))

    with pytest.raises(DataError, match="does not record its faces; choose another --out"):
        make(tmp_path).run()


def test_epochs_may_be_added_where_the_schedule_does_not_depend_on_them(tmp_path: Path) -> None:
    plateau = replace(RECIPE, schedule="plateau", epochs=1)
    make(tmp_path, plateau).run()

    longer = make(tmp_path, replace(plateau, epochs=2))
    longer.run()

    assert [record.epoch for record in longer.history] == [1, 2]


def test_patience_ends_a_run_without_progress(tmp_path: Path) -> None:
    fit = make(tmp_path, replace(RECIPE, epochs=30, learning_rate=1e-12, schedule="constant", patience_epochs=2))

    fit.run()

    assert len(fit.history) == 3


def test_a_loss_that_diverges_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="try a lower learning rate"):
        make(tmp_path, replace(RECIPE, optimizer="sgd", learning_rate=1e30, schedule="constant", average=0.0)).run()


@pytest.mark.parametrize("changed", [{"optimizer": "sgd"}, {"optimizer": "adam", "class_weights": True}, {"mixup": 0.3, "smoothing": 0.1}])
def test_every_kind_of_optimizer_and_target_trains(tmp_path: Path, changed: dict[str, Any]) -> None:
    fit = make(tmp_path, replace(RECIPE, epochs=1, **changed))

    fit.run()

    assert np.isfinite(fit.history[0].loss)


def test_a_frozen_base_is_trained_after_its_epochs(tmp_path: Path) -> None:
    import keras

    def with_base(_: Recipe) -> keras.Model:
        given = keras.Input((48, 48, 1))
        inner = keras.Input((48, 48, 1))
        base = keras.Model(inner, keras.layers.Conv2D(3, 7, strides=5)(inner), name="base")
        pooled = keras.layers.Flatten()(base(keras.layers.Rescaling(1 / 255)(given)))
        return keras.Model(given, keras.layers.Dense(7)(pooled))

    recipe = replace(RECIPE, arch="mobilenet", frozen_epochs=1, epochs=2, average=0.0, schedule="constant")
    kernels: list[np.ndarray] = []
    fit: Fit

    def keep(_: Any) -> None:
        kernels.append(fit.network.get_layer("base").get_weights()[0])

    fit = make(tmp_path, recipe, on_epoch=keep, build_network=with_base)
    start = fit.network.get_layer("base").get_weights()[0]

    fit.run()

    np.testing.assert_array_equal(kernels[0], start)
    assert (kernels[1] != start).any()
    assert fit.history[1].learning_rate == pytest.approx(0.1 * fit.history[0].learning_rate)
