from __future__ import annotations

import errno
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("keras")

from ferstream.errors import BundleError, DataError
from ferstream.inference.backends import open_classifier
from ferstream.inference.bundle import load_bundle
from ferstream.training.architectures import ARCHITECTURES
from ferstream.training.evaluation import timing
from ferstream.training.fitting import session
from ferstream.training.fitting.checkpoint import load
from ferstream.training.fitting.fit import LAST
from ferstream.training.fitting.recipe import RECIPES
from ferstream.training.fitting.session import Target, first_rows, train
from tests.support.bundles import tiny_network
from tests.training.conftest import make_faces

OPTIONS = {"mobilenet": {"weights": "none"}}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("arch", list(RECIPES))
def test_two_epochs_on_500_faces_end_in_a_bundle_that_classifies(tmp_path: Path, arch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if arch != "edge":  # what a face costs is measured once, below; it takes longer than a small network's training
        monkeypatch.setattr(timing, "ms_per_face", lambda _: {"openvino": 1.0, "keras": 1.0})
    faces = make_faces(500, 56)
    recipe = replace(RECIPES[arch], epochs=2, warmup_epochs=0.5, options=OPTIONS.get(arch, {}))
    target = Target(directory=tmp_path / f"emotion-{arch}" / "0.1.0", name=f"emotion-{arch}", version="0.1.0", command="ferstream train")

    bundle = train(faces, recipe=recipe, folder=tmp_path / "run", target=target)

    manifest = load_bundle(bundle.directory).manifest
    assert manifest.recipe["arch"] == arch
    assert manifest.metrics["PublicTest, fer2013"]["rows"] == 56
    assert set(manifest.metrics["ms_per_face"]) == {"openvino", "keras"}
    assert (bundle.directory / "CARD.md").is_file()
    history = json.loads((tmp_path / "run" / "history.json").read_text())
    assert [record["epoch"] for record in history] == [1, 2]
    assert (tmp_path / "run" / "curves.png").stat().st_size > 10_000
    assert len(list((tmp_path / "run" / "tensorboard").iterdir())) == 2
    weights = sum(variable.size for variable in ARCHITECTURES[arch](**recipe.options).get_weights())
    assert (bundle.directory / "model.keras").stat().st_size < 1.25 * 4 * weights + 1_000_000  # no optimizer in it
    classifier = open_classifier(bundle, backend="openvino")
    np.testing.assert_allclose(classifier.classify(faces.pixels[:3]).sum(axis=1), 1.0, atol=1e-3)
    classifier.close()


@pytest.fixture
def _tiny_edge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ARCHITECTURES, "edge", lambda **_: tiny_network())


@pytest.mark.usefixtures("_tiny_edge")
def test_faces_without_votes_train_on_their_labels_and_a_bundle_is_not_overwritten(tmp_path: Path) -> None:
    faces = make_faces(56, 28, votes=False)
    recipe = replace(RECIPES["edge"], epochs=1, batch=14, augmentation=None)
    target = Target(directory=tmp_path / "mine" / "1.0.0", name="mine", version="1.0.0")

    bundle = train(faces, recipe=recipe, folder=tmp_path / "run", target=target)

    assert set(bundle.manifest.metrics) == {"PublicTest, fer2013", "ms_per_face", "ms_per_face_on"}
    with pytest.raises(BundleError, match="exists already"):
        train(faces, recipe=recipe, folder=tmp_path / "run", target=target)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"name": "My Model"}, "name: "),
        ({"version": "newest"}, "version: "),
        ({}, "exists already"),
        ({"replace": True}, "holds photo.jpg"),
    ],
)
def test_a_wrong_target_is_told_before_anything_is_trained(tmp_path: Path, changed: dict[str, Any], says: str) -> None:
    (tmp_path / "photo.jpg").write_text("dear to someone")
    target = replace(Target(directory=tmp_path, name="mine", version="1.0.0"), **changed)

    with pytest.raises(BundleError, match=says):
        train(make_faces(14, 14), recipe=RECIPES["edge"], folder=tmp_path / "run", target=target)

    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("_tiny_edge")
def test_faulty_faces_train_when_they_are_to_be_kept(tmp_path: Path) -> None:
    faces = make_faces(28, 14)
    faces.pixels[3] = 0
    faces.pixels[5] = faces.pixels[30]
    recipe = replace(RECIPES["edge"], epochs=1, batch=27, augmentation=None)
    target = Target(directory=tmp_path / "mine" / "1.0.0", name="mine", version="1.0.0")

    bundle = train(faces, recipe=recipe, folder=tmp_path / "run", target=target, keep_faulty=True)

    assert bundle.manifest.recipe["faces"] == {"training": 27, "PublicTest": 13, "faulty_kept": True}


@pytest.mark.usefixtures("_tiny_edge")
def test_a_disk_that_fills_up_between_epochs_is_one_line_and_the_run_goes_on_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    faces = make_faces(28, 14)
    recipe = replace(RECIPES["edge"], epochs=1, batch=14, augmentation=None)
    target = Target(directory=tmp_path / "mine" / "1.0.0", name="mine", version="1.0.0")
    with monkeypatch.context() as patched:
        patched.setattr(session, "write_history", full)
        with pytest.raises(DataError, match=r"run: cannot be written: No space left on device; checkpoints in it are intact"):
            train(faces, recipe=recipe, folder=tmp_path / "run", target=target)

    assert load(tmp_path / "run" / LAST).meta["history"][0]["epoch"] == 1


def test_first_rows_keeps_the_first_of_each_split() -> None:
    some = first_rows(make_faces(20, 10), 4)

    assert some.usages.tolist() == ["Training"] * 4 + ["PublicTest"] * 4
    assert some.rows.tolist() == [2, 3, 4, 5, 22, 23, 24, 25]
