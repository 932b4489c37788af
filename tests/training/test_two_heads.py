"""Networks with two heads, and their file."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

pytest.importorskip("keras", reason="the Keras extra is not installed")

from ferstream.errors import ModelError
from ferstream.training.fitting.architectures import ARCHITECTURES
from ferstream.training.model_file import read_network
from ferstream.training.two_heads import MEMBER, TwoHeads, read_description, read_two_heads, save_two_heads
from tests.support.bundles import random_crops, tiny_network
from tests.support.two_heads import ABOUT, tiny_two_heads


def test_a_saved_network_gives_the_same_logits_and_description(tmp_path: Path) -> None:
    made, crops = tiny_two_heads(), random_crops(5)
    save_two_heads(made.network, tmp_path / "new" / "heads.keras", made.about)

    read = read_two_heads(tmp_path / "new" / "heads.keras")

    assert read.about == made.about == read_description(tmp_path / "new" / "heads.keras")
    for head, logits in made.logits(crops).items():
        assert logits.shape == (5, 7)
        assert read.logits(crops)[head] == pytest.approx(logits, abs=1e-5)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["heads.keras"]


def test_keras_reads_the_file_as_any_other(tmp_path: Path) -> None:
    save_two_heads(tiny_two_heads().network, tmp_path / "heads.keras", ABOUT)
    assert set(read_network(tmp_path / "heads.keras").output) == {"votes", "labels"}


def test_a_network_with_one_output_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="expected votes and labels with 7 logits each"):
        save_two_heads(tiny_network(), tmp_path / "one.keras", ABOUT)
    tiny_network().save(tmp_path / "one.keras")
    with pytest.raises(ModelError, match="expected votes and labels"):
        read_two_heads(tmp_path / "one.keras")


def test_a_file_without_a_description_is_refused(tmp_path: Path) -> None:
    tiny_two_heads().network.save(tmp_path / "plain.keras")
    with pytest.raises(ModelError, match=r"has no ferstream\.json; it is not a network with two heads"):
        read_two_heads(tmp_path / "plain.keras")


@pytest.mark.parametrize(
    ("text", "says"), [("{", "Invalid JSON"), ('{"schema": "ferstream.two-heads/2"}', "schema"), ("x" * 100_001, "longer")]
)
def test_a_damaged_description_is_an_error_that_names_the_file(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "heads.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MEMBER, text)
    with pytest.raises(ModelError, match=rf"heads\.keras.*{says}"):
        read_description(path)


@pytest.mark.parametrize("votes", [(0.5, 0.5), (0.0, 0.1, 0.1, 0.2, 0.2, 0.2, 0.2), (0.9,) * 7])
def test_priors_are_seven_shares_that_sum_to_one(votes: tuple[float, ...]) -> None:
    with pytest.raises(ValidationError):
        TwoHeads(architecture="tiny", priors={"votes": votes, "labels": (1 / 7,) * 7})


def test_log_priors_are_those_of_scaled_shares() -> None:
    about = TwoHeads(architecture="tiny", priors={"votes": (0.1, 0.1, 0.1, 0.2, 0.2, 0.2, 0.09), "labels": (1 / 7,) * 7})
    assert np.exp(about.log_prior("votes")).sum() == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["edge", "small", "large"])
def test_residual_architectures_have_one_output_or_two_heads(name: str) -> None:
    build: Any = ARCHITECTURES[name]
    assert tuple(build().output.shape) == (None, 7)
    two = build(two_heads=True)
    assert {head: tuple(output.shape) for head, output in two.output.items()} == {"votes": (None, 7), "labels": (None, 7)}
    assert two.count_params() - build().count_params() == two.get_layer("labels").count_params()
