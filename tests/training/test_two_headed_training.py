"""Two heads from the first face to a served bundle: teachers, a student that is interrupted, the balance, the classifier."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from ferstream.domain.emotion import LABELS
from ferstream.errors import DataError, ModelError
from ferstream.inference.backends import open_classifier
from ferstream.training.balance import Balance
from ferstream.training.data.device_augmentation import DeviceAugmentation
from ferstream.training.data.head_targets import head_targets
from ferstream.training.data.selection import Selection, select
from ferstream.training.export.balanced import Served, head_logits, write_balanced
from ferstream.training.export.bundle_writer import BundleTarget
from ferstream.training.fitting.checkpoint import load
from ferstream.training.fitting.fit import LAST
from ferstream.training.fitting.history import EpochRecord
from ferstream.training.fitting.recipe import TWO_HEADED_RECIPES, Recipe
from ferstream.training.session import Progress, train_two_heads
from ferstream.training.two_heads import HEADS, read_two_heads
from tests.support.face_sets import make_faces

TEACHER = replace(TWO_HEADED_RECIPES["large"], epochs=1, batch=25, precision="float32", learning_rate=0.02, average=0.9)
LEARNING = replace(
    TEACHER,
    optimizer="adamw",
    learning_rate=5e-3,
    epochs=6,
    mixup=0.0,
    augmentation=DeviceAugmentation(rotate_deg=2.0, shift_px=1.0, mask=0.0, hand=0.0, glasses=0.0, lower_face=0.0, erase=0.0),
)
"""Varies the faces little, so that a few epochs show whether both heads learn."""
STUDENT = replace(TWO_HEADED_RECIPES["edge"], epochs=2, batch=25, precision="float32", warmup_epochs=0.5, average=0.9)


def build_tiny(recipe: Recipe) -> Any:
    """A network with two heads, dropout and a batch norm, which trains in milliseconds."""
    keras.utils.set_random_seed(recipe.seed)
    faces = keras.Input((48, 48, 1), dtype="uint8", name="faces")
    x = keras.layers.Rescaling(1 / 127.5, -1.0)(faces)
    x = keras.layers.Conv2D(8, 5, strides=4, use_bias=False)(x)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    x = keras.layers.Dropout(0.1)(keras.layers.Flatten()(x))
    return keras.Model(faces, {head: keras.layers.Dense(len(LABELS), dtype="float32", name=head)(x) for head in HEADS}, name="tiny")


def train(selection: Selection, folder: Path, recipe: Recipe, progress: Progress | None = None) -> Path:
    return train_two_heads(
        selection, recipe=recipe, folder=folder, command="ferstream train", progress=progress or Progress(), build_network=build_tiny
    )


@dataclass(frozen=True)
class Trained:
    """What the tests of this file share: training takes seconds, most of them for compiling.

    Attributes:
        selection: The faces.
        teachers: The files of two teachers.
        student: The file of the student that was not interrupted.
        notes: Notes of its run.
    """

    selection: Selection
    teachers: list[str]
    student: Path
    notes: list[str]

    @property
    def recipe(self) -> Recipe:
        return replace(STUDENT, teachers=self.teachers)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("runs")
    selection = select(make_faces(200, 56))
    teachers = [str(train(selection, folder / f"teacher-{recipe.seed}", recipe)) for recipe in (LEARNING, replace(TEACHER, seed=2))]
    notes: list[str] = []
    student = train(selection, folder / "student", replace(STUDENT, teachers=teachers), Progress(on_note=notes.append))
    return Trained(selection, teachers, student, notes)


def interrupting(after_epoch: int) -> Callable[[EpochRecord], None]:
    """A callback that raises what Ctrl-C raises, once an epoch and its files are complete."""

    def callback(record: EpochRecord) -> None:
        if record.epoch == after_epoch:
            raise KeyboardInterrupt

    return callback


@pytest.mark.timeout(600)
def test_an_interrupted_student_resumes_to_the_same_network(trained: Trained, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(trained.selection, tmp_path, trained.recipe, Progress(on_epoch=interrupting(1)))
    assert len(load(tmp_path / LAST).meta["history"]) == 1

    resumed = train(trained.selection, tmp_path, trained.recipe)

    ours, theirs = (json.loads((path.parent / "history.json").read_text()) for path in (resumed, trained.student))
    assert [record["epoch"] for record in ours] == [1, 2]
    for key in ("loss", "val_loss"):
        assert [record[key] for record in ours] == pytest.approx([record[key] for record in theirs], rel=1e-4)
    for one, other in zip(
        read_two_heads(resumed).network.get_weights(), read_two_heads(trained.student).network.get_weights(), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.timeout(600)
def test_the_file_has_the_priors_and_how_it_was_trained(trained: Trained) -> None:
    network = read_two_heads(trained.student)

    expected = head_targets(trained.selection.training).priors
    for head in HEADS:
        assert network.about.priors[head] == pytest.approx(expected[head])
    assert network.about.architecture == "edge"
    assert network.about.recipe["command"] == "ferstream train"
    assert network.about.recipe["settings"]["teachers"] == trained.teachers
    assert {layer.dtype_policy.name for layer in network.network.layers} == {"float32"}


@pytest.mark.timeout(600)
def test_the_student_is_folded_exported_and_served(trained: Trained, tmp_path: Path) -> None:
    network, faces = read_two_heads(trained.student), trained.selection.faces
    split = faces.of_usage("PublicTest")
    balance = Balance(labels=0.5, votes_prior=0.5)
    logits = head_logits(network, split, mirror=False)
    target = BundleTarget(directory=tmp_path / "tiny" / "1.0.0", name="tiny", version="1.0.0")

    bundle = write_balanced(network, Served(balance), target, faces=faces, usage="PublicTest", logits=logits, notes={})

    scores = balance.logits(logits, network.about) / bundle.manifest.temperature
    expected = np.exp(scores - np.logaddexp.reduce(scores, axis=1, keepdims=True))
    for backend in ("openvino", "keras"):
        classifier = open_classifier(bundle, backend=backend, deterministic=True)
        np.testing.assert_allclose(classifier.classify(split.pixels[:5]), expected[:5], atol=2e-2)
        classifier.close()


@pytest.mark.timeout(600)
def test_the_speed_of_batches_and_training_is_reported_once(trained: Trained) -> None:
    (note,) = trained.notes
    assert note.startswith("input pipeline alone ")
    assert "faces/s: making the batches takes " in note


@pytest.mark.timeout(600)
def test_a_run_does_not_go_on_with_other_teachers_under_the_same_name(trained: Trained, tmp_path: Path) -> None:
    shutil.copytree(trained.student.parent, tmp_path / "run")
    teacher, other = Path(trained.teachers[0]), Path(trained.teachers[1])
    before = teacher.read_bytes()
    teacher.write_bytes(other.read_bytes())
    try:
        with pytest.raises(DataError, match="the run was started with other teachers; choose another --out"):
            train(trained.selection, tmp_path / "run", trained.recipe)
    finally:
        teacher.write_bytes(before)


def test_a_teacher_that_is_missing_is_an_error_with_its_name(trained: Trained, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nowhere\.keras"):
        train(trained.selection, tmp_path, replace(STUDENT, teachers=[str(tmp_path / "nowhere.keras")]))


@pytest.mark.timeout(600)
def test_two_heads_learn_what_is_drawn(trained: Trained) -> None:
    history = json.loads((Path(trained.teachers[0]).parent / "history.json").read_text())

    assert history[-1]["val_loss"] < history[0]["val_loss"]
    assert max(record["val_majority_accuracy"] for record in history) > 0.5
    assert max(record["val_accuracy"] for record in history) > 0.5
