from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="the Keras extra is not installed")

from ferstream.domain.emotion import LABELS
from ferstream.errors import BundleError
from ferstream.inference.backends import open_classifier
from ferstream.inference.bundle import Bundle
from ferstream.training.export.bundle_writer import BundleTarget, save_bundle
from ferstream.training.export.serving import serving_model
from tests.support.bundles import random_crops, tiny_network


@pytest.fixture(scope="module")
def served() -> Any:
    return serving_model(tiny_network(), temperature=1.3)


@pytest.fixture(scope="module")
def bundle(served: Any, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    target = BundleTarget(directory=tmp_path_factory.mktemp("models") / "a" / "1.0.0", name="a", version="1.0.0")
    return save_bundle(
        served,
        target,
        temperature=1.3,
        metrics={"x": 1},
        recipe={"arch": "tiny"},
        card="# A\n",
        measure=lambda draft: {"files of the draft": len(draft.manifest.files)},
    )


def test_a_bundle_has_both_models_manifest_and_card(bundle: Bundle) -> None:
    names = sorted(path.name for path in bundle.directory.iterdir())
    assert names == ["CARD.md", "manifest.json", "model.keras", "openvino.bin", "openvino.xml"]


def test_the_manifest_records_how_the_model_was_made_and_measured(bundle: Bundle) -> None:
    manifest = json.loads((bundle.directory / "manifest.json").read_text())

    assert manifest["temperature"] == 1.3
    assert manifest["labels"] == list(LABELS)
    assert manifest["recipe"] == {"arch": "tiny"}
    assert manifest["metrics"] == {"x": 1, "files of the draft": 3}
    assert {"ferstream", "keras", "openvino"} <= set(manifest["created_with"])


@pytest.mark.parametrize("backend", ["openvino", "keras"])
def test_every_backend_gives_the_probabilities_of_the_served_model(bundle: Bundle, served: Any, backend: str) -> None:
    crops = random_crops(12)
    expected = np.asarray(keras.ops.convert_to_numpy(served(crops[..., np.newaxis], training=False)))

    assert open_classifier(bundle, backend=backend).classify(crops) == pytest.approx(expected, abs=5e-3)


def test_a_bundle_is_replaced_only_on_request(bundle: Bundle, served: Any) -> None:
    target = BundleTarget(directory=bundle.directory, name="a", version="1.0.0")

    with pytest.raises(BundleError, match="exists already"):
        save_bundle(served, target)
    with pytest.raises(BundleError, match="exists already"):
        target.check()
