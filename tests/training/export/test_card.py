"""The card of a bundle: numbers, curves and recipe from the manifest and an evaluation; people's part is kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("keras", reason="the Keras extra is not installed")

from ferstream.inference.bundle import Bundle, load_bundle
from ferstream.training.evaluation.answers import Answers
from ferstream.training.evaluation.evaluate import evaluate_answers
from ferstream.training.export.card import Measured, Stability, write_card
from tests.support.bundles import tiny_openvino_bundle
from tests.support.face_sets import make_faces

RATES = {"accuracy": 0.9, "balanced": 0.8, "labels": 0.6, "labels_balanced": 0.5}
CURVE = {"values": [0.0, 1.0], "chosen": [0.4], **{name: [value, value] for name, value in RATES.items()}}
RECIPE: dict[str, Any] = {
    "arch": "edge",
    "balance": {"votes": 1.0, "labels": 0.25, "votes_prior": 0.4, "labels_prior": 1.0, "offsets": {"neutral": 0.2}},
    "training": {"trained_on": "one GPU", "data": {"set": "drawn faces"}},
    "choice": {"how": "by a rule", "scores": RATES, "labels_alone": RATES, "curves": {"votes_prior": CURVE, "labels": CURVE}},
}


def measured(*, confidence: float = 0.7) -> Measured:
    """Answers of which all are right, and half of the mirror images too."""
    faces = make_faces(7, 14)
    split = faces.of_usage("PublicTest")
    rows = np.full((14, 7), (1 - confidence) / 6, np.float32)
    rows[np.arange(14), split.labels] = confidence
    answers = Answers(faces=split, probabilities=rows, mirrored=np.roll(rows, 1, axis=1) * (np.arange(14) < 7)[:, None])
    majority, labels = (evaluate_answers(answers, faces, usage="PublicTest", truth=truth) for truth in ("ferplus", "fer2013"))
    return Measured(usage="PublicTest", majority=majority, labels=labels, answers=answers)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return tiny_openvino_bundle(tmp_path, recipe=RECIPE, metrics={"ms_per_face": {"openvino": 0.5}})


def test_the_card_has_numbers_recipe_balance_and_pictures(bundle: Bundle) -> None:
    files = write_card(bundle, measured())

    text = (bundle.directory / "CARD.md").read_text()
    assert text.startswith("# tiny 1.0.0\n")
    for part in ("## Intended use", "## Recipe", "## Balance", "## Numbers", "## Cost", "## Limits"):
        assert part in text
    for line in (
        "Here a = 1, b = 0.25, s = 0.4, t = 1, offsets: neutral +0.2. Chosen as: by a rule.",
        "| head B alone | 90.0 / 80.0 % | 60.0 / 50.0 % |",
        "- trained on: one GPU\n- data:\n  - set: drawn faces\n",
        "| balanced accuracy | 100.00 % | 100.00 % |",
        "mean confidence 70.00 %, and 100.00 % of the votes agree",
    ):
        assert line in text
    assert {path.name for path in files} == {"CARD.md", "confusion.png", "reliability.png", "balance.png"}
    for path in files[1:]:
        picture = cv2.imread(str(path))
        assert picture is not None
        assert picture.std() > 5


def test_a_card_that_is_written_again_keeps_the_limits_that_people_described(bundle: Bundle) -> None:
    card = bundle.directory / "CARD.md"
    card.write_text("# old\n\nold numbers\n\n## Limits\n\n- Beards.\n\n### More\n\nHats.\n")

    write_card(bundle, measured())
    first = card.read_text()
    write_card(bundle, measured())

    assert card.read_text() == first
    assert "old numbers" not in first
    assert first.endswith("## Limits\n\n- Beards.\n\n### More\n\nHats.\n")


def test_a_model_in_8_bits_names_its_source_and_has_no_pictures(tmp_path: Path) -> None:
    plain = tiny_openvino_bundle(tmp_path, recipe={"quantised_from": "tiny/1.0.0", "calibration_faces": 512})
    files = write_card(plain, measured())
    text = (plain.directory / "CARD.md").read_text()
    assert "`tiny/1.0.0` in 8 bits: quantised after training by NNCF on 512 Training faces" in text
    assert "## Balance" not in text
    assert ".png" not in text
    assert [path.name for path in files] == ["CARD.md"]


def test_the_card_has_the_stability_figure_where_it_was_measured(bundle: Bundle) -> None:
    card = bundle.directory / "CARD.md"
    write_card(bundle, measured())
    assert "## Stability" not in card.read_text()
    write_card(bundle, replace(measured(), stability=Stability(each_frame=1.89, smoothed=0.43)))
    assert "1.89 for each frame alone, 0.43 smoothed" in card.read_text()


def test_the_bundle_stays_valid(bundle: Bundle) -> None:
    write_card(bundle, measured())
    assert load_bundle(bundle.directory).manifest == bundle.manifest
