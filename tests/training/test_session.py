from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("keras")

from ferstream.errors import BundleError, DataError
from ferstream.inference.backends import open_classifier
from ferstream.inference.bundle import Bundle, load_bundle
from ferstream.training.data.dataset import FaceSet
from ferstream.training.data.selection import Selection, select
from ferstream.training.export.bundle_writer import BundleTarget
from ferstream.training.fitting.architectures import ARCHITECTURES
from ferstream.training.fitting.checkpoint import load
from ferstream.training.fitting.fit import LAST
from ferstream.training.fitting.recipe import RECIPES, Recipe
from ferstream.training.session import train
from tests.support.bundles import tiny_network
from tests.support.face_sets import make_faces

OPTIONS = {"mobilenet": {"weights": "none"}}
QUICK = replace(RECIPES["edge"], epochs=1, batch=14, augmentation=None)


def target_in(folder: Path, **changes: Any) -> BundleTarget:
    return replace(BundleTarget(directory=folder / "mine" / "1.0.0", name="mine", version="1.0.0"), **changes)


def train_tiny(selection: Selection, folder: Path, recipe: Recipe = QUICK, target: BundleTarget | None = None) -> Bundle:
    """Train a network of milliseconds."""
    return train(
        selection,
        recipe=recipe,
        folder=folder / "run",
        target=target or target_in(folder),
        build_network=lambda _: tiny_network(),
    )


def without_cost(bundle: Bundle, faces: FaceSet, usage: str) -> dict[str, Any]:
    """Metrics that take no time; the real ones are tested with the tiny network."""
    return {"model": bundle.manifest.name, "faces": len(faces), "usage": usage}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("arch", list(RECIPES))
def test_two_epochs_end_in_a_bundle_that_classifies(tmp_path: Path, arch: str) -> None:
    selection = select(make_faces(140, 28))
    recipe = replace(RECIPES[arch], epochs=2, warmup_epochs=0.5, batch=64, options=OPTIONS.get(arch, {}))
    target = target_in(tmp_path, name=f"emotion-{arch}")

    bundle = train(selection, recipe=recipe, folder=tmp_path / "run", target=target, command="ferstream train", measure=without_cost)

    manifest = load_bundle(bundle.directory).manifest
    assert manifest.recipe["arch"] == arch
    assert manifest.metrics == {"model": f"emotion-{arch}", "faces": 168, "usage": "PublicTest"}
    assert "ferstream train" in (bundle.directory / "CARD.md").read_text()
    history = json.loads((tmp_path / "run" / "history.json").read_text())
    assert [record["epoch"] for record in history] == [1, 2]
    assert (tmp_path / "run" / "curves.png").stat().st_size > 10_000
    assert len(list((tmp_path / "run" / "tensorboard").iterdir())) == 2
    weights = sum(variable.size for variable in ARCHITECTURES[arch](**recipe.options).get_weights())
    assert (bundle.directory / "model.keras").stat().st_size < 1.25 * 4 * weights + 1_000_000  # no optimizer in it
    classifier = open_classifier(bundle, backend="openvino")
    np.testing.assert_allclose(classifier.classify(selection.faces.pixels[:3]).sum(axis=1), 1.0, atol=1e-3)
    classifier.close()


def test_faces_without_votes_train_on_their_labels(tmp_path: Path) -> None:
    bundle = train_tiny(select(make_faces(56, 28, votes=False)), tmp_path)

    assert set(bundle.manifest.metrics) == {"PublicTest, fer2013", "PublicTest, all rows", "ms_per_face", "ms_per_face_on"}
    assert bundle.manifest.metrics["PublicTest, fer2013"]["rows"] == 28
    assert set(bundle.manifest.metrics["ms_per_face"]) == {"openvino", "keras"}


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"name": "My Model"}, "name: "),
        ({"version": "newest"}, "version: "),
        ({}, "exists already"),
        ({"replace": True}, "holds photo.jpg"),
    ],
)
def test_a_wrong_target_is_an_error_before_training(tmp_path: Path, changed: dict[str, Any], says: str) -> None:
    (tmp_path / "photo.jpg").write_text("not a bundle")
    target = target_in(tmp_path, directory=tmp_path, **changed)

    with pytest.raises(BundleError, match=says):
        train_tiny(select(make_faces(14, 14)), tmp_path, target=target)

    assert not (tmp_path / "run").exists()


def test_the_bundle_records_how_many_faces_trained_and_validated(tmp_path: Path) -> None:
    faces = make_faces(28, 14)
    faces.pixels[3] = 0
    faces.pixels[5] = faces.pixels[30]

    bundle = train_tiny(select(faces, keep_faulty=True), tmp_path, replace(QUICK, batch=27))

    assert bundle.manifest.recipe["faces"] == {"training": 27, "PublicTest": 13, "faulty_kept": True}


def test_a_run_folder_that_cannot_be_written_is_one_line_and_the_checkpoint_stays(tmp_path: Path) -> None:
    (tmp_path / "run" / "history.json").mkdir(parents=True)

    with pytest.raises(DataError, match=r"run: cannot be written: Is a directory; checkpoints in it are intact"):
        train_tiny(select(make_faces(28, 14)), tmp_path)

    assert load(tmp_path / "run" / LAST).meta["history"][0]["epoch"] == 1
