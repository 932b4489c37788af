"""Choosing a balance on labelled faces."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("keras", reason="the Keras extra is not installed")

from ferstream.domain.emotion import LABELS
from ferstream.errors import DataError
from ferstream.training.balance import Balance
from ferstream.training.data.dataset import FaceSet
from ferstream.training.evaluation.balance_choice import CURVE, Lowest, choose, curves, score_balance
from tests.support.face_sets import make_faces
from tests.support.two_heads import ABOUT

NEUTRAL = LABELS.index("neutral")


@pytest.fixture(scope="module")
def faces() -> FaceSet:
    return make_faces(0, 140)


def heads_of(faces: FaceSet) -> dict[str, np.ndarray]:
    """Votes that know every class but take sad faces for neutral ones; labels that know sad faces and nothing else."""
    truth, sad = np.eye(7)[faces.labels], faces.labels == LABELS.index("sad")
    votes = 4.0 * truth
    votes[sad, NEUTRAL] = 5.0
    labels = np.zeros((len(faces), 7))
    labels[sad, LABELS.index("sad")] = 6.0
    return {"votes": votes.astype(np.float32), "labels": labels.astype(np.float32)}


def test_scores_of_a_balance_are_those_of_its_answers(faces: FaceSet) -> None:
    rates = score_balance(Balance(), heads_of(faces), ABOUT, faces).rates
    assert rates.accuracy == pytest.approx(6 / 7)
    assert rates.balanced == pytest.approx(6 / 7)
    assert rates.labels == pytest.approx(6 / 7)


def test_the_head_that_knows_more_is_taken_in(faces: FaceSet) -> None:
    chosen = choose(heads_of(faces), ABOUT, faces, Lowest(0.5, 0.5))
    assert chosen.point.rates.labels_balanced == 1.0
    assert chosen.point.balance.labels > 0 or chosen.point.balance.votes_prior > 0
    assert chosen.checked.labels_balanced == 1.0


def test_a_balance_below_the_lowest_scores_is_not_chosen(faces: FaceSet) -> None:
    assert faces.votes is not None
    votes = faces.votes.copy()
    sad = faces.labels == LABELS.index("sad")
    votes[sad] = 0
    votes[sad, 0] = 10  # voters call sad faces neutral
    voted = replace(faces, votes=votes)

    kept = choose(heads_of(faces), ABOUT, voted, Lowest(0.99, 0.9))
    free = choose(heads_of(faces), ABOUT, voted, Lowest(0.5, 0.5))

    assert kept.point.rates.accuracy >= 0.99
    assert free.point.rates.accuracy < 0.99
    assert free.point.rates.labels_balanced > kept.point.rates.labels_balanced


def test_scores_that_no_balance_reaches_are_an_error_that_gives_the_nearest(faces: FaceSet) -> None:
    random = {head: np.random.default_rng(1).normal(size=(len(faces), 7)).astype(np.float32) for head in ("votes", "labels")}
    with pytest.raises(DataError, match=r"no balance has an accuracy of 99\.0%.*the nearest has"):
        choose(random, ABOUT, faces, Lowest(0.99, 0.99))


def test_without_votes_nothing_can_be_chosen(faces: FaceSet) -> None:
    with pytest.raises(DataError, match="give --votes"):
        score_balance(Balance(), heads_of(faces), ABOUT, replace(faces, votes=None))


def test_a_curve_varies_one_parameter(faces: FaceSet) -> None:
    found = curves(Balance(labels=0.3, votes_prior=0.5), heads_of(faces), ABOUT, faces)
    assert [point.balance.votes_prior for point in found["votes_prior"]] == list(CURVE)
    assert [point.balance.labels for point in found["labels"]] == list(CURVE)
    assert {point.balance.labels for point in found["votes_prior"]} == {0.3}
