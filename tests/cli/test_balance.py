"""The command ``balance``: from a network with two heads to a bundle, and from that bundle to another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("keras", reason="the Keras extra is not installed")

from ferstream.cli.balance import balance
from ferstream.errors import BundleError, ModelError
from ferstream.inference.backends import open_classifier
from ferstream.inference.bundle import HEADS_FILE, load_bundle
from ferstream.training.balance import Balance
from ferstream.training.bundle_heads import read_two_headed
from ferstream.training.evaluation.calibration import softmax
from ferstream.training.two_heads import save_two_heads
from tests.support.bundles import random_crops, tiny_openvino_bundle
from tests.support.face_sets import make_faces, write_csv
from tests.support.two_heads import ABOUT, tiny_two_heads


def run(tmp_path: Path, network: str, **options: object) -> None:
    arguments: dict[str, object] = {
        "network": network,
        "data": tmp_path,
        "name": "balanced",
        "version": "1.0.0",
        "out": tmp_path / "models",
        "given": "labels=0.5,votes_prior=0.5,neutral=0.2",
        "min_accuracy": 0.0,
        "min_balanced": 0.0,
        "usage": "PublicTest",
        "mirror": False,
        "half": False,
        "replace": False,
        **options,
    }
    balance(**arguments)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a csv, a network with two heads, and a bundle of it."""
    folder = tmp_path_factory.mktemp("balance")
    write_csv(folder, make_faces(7, 28))
    save_two_heads(tiny_two_heads().network, folder / "heads.keras", ABOUT)
    run(folder, str(folder / "heads.keras"))
    return folder


def test_the_bundle_serves_the_balanced_heads(made: Path) -> None:
    bundle = load_bundle("balanced", [made / "models"])
    network, crops = tiny_two_heads(), random_crops(6)
    given = Balance(labels=0.5, votes_prior=0.5, offsets={"neutral": 0.2})
    expected = softmax(given.logits(network.logits(crops), ABOUT), bundle.manifest.temperature)

    served = open_classifier(bundle, backend="openvino").classify(crops)

    assert served == pytest.approx(expected, abs=0.03)
    assert bundle.manifest.recipe["balance"]["votes_prior"] == 0.5
    assert bundle.manifest.recipe["choice"]["how"] == "given"


def test_both_heads_can_be_read_back_from_the_bundle(made: Path) -> None:
    read, crops = read_two_headed(str(made / "models" / "balanced")), random_crops(4)
    assert read.about == ABOUT
    for head, logits in tiny_two_heads().logits(crops).items():
        assert read.logits(crops)[head] == pytest.approx(logits, abs=1e-3)


def test_another_balance_is_chosen_from_the_bundle(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(made, str(made / "models" / "balanced"), given=None, version="2.0.0", half=True, mirror=True)

    bundle = load_bundle("balanced", [made / "models"])
    crops = random_crops(6)
    classifier = open_classifier(bundle, backend="openvino")
    assert bundle.manifest.version == "2.0.0"
    assert bundle.manifest.recipe["stored_weights"] == "float16"
    assert classifier.classify(crops) == pytest.approx(classifier.classify(np.ascontiguousarray(crops[:, :, ::-1])), abs=1e-2)
    printed = capsys.readouterr().out
    assert "chosen on each half of these faces, scored on the other half: FER+ majority" in printed
    assert "with another votes_prior:" in printed


def test_a_bundle_without_heads_is_refused(tmp_path: Path) -> None:
    bundle = tiny_openvino_bundle(tmp_path)
    with pytest.raises(ModelError, match=f"has no {HEADS_FILE}"):
        read_two_headed(str(bundle.directory))


def test_a_target_that_exists_is_refused_before_anything_is_read(made: Path) -> None:
    with pytest.raises(BundleError, match="exists already"):
        run(made, "nowhere.keras")
