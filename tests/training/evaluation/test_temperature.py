"""The temperature of a finished network: honest about faces on which people disagree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ferstream.domain.emotion import LABELS
from ferstream.training.data.dataset import FaceSet
from ferstream.training.evaluation.calibration import fit_temperature_to_shares, reliability, share_reliability, softmax
from ferstream.training.evaluation.temperature import CLEAR_ERROR, temperature_for
from tests.support.face_sets import VOTE_COLUMN, make_faces

COLUMNS = [VOTE_COLUMN[label] for label in LABELS]


def voted(shares: np.ndarray) -> FaceSet:
    """Faces with ten votes each, shared out as ``shares``."""
    faces = make_faces(0, len(shares))
    votes = np.zeros((len(shares), 10), np.int64)
    votes[:, COLUMNS] = np.rint(10 * shares)
    return replace(faces, votes=votes)


def test_a_temperature_that_is_honest_on_all_faces_is_kept() -> None:
    """Half of the faces are clear, half are split in two; the network knows which, and is too sure by a factor of three."""
    shares = np.zeros((400, 7))
    shares[:200, 3] = 1.0
    shares[200:, [4, 6]] = 0.5
    logits = 3.0 * np.log(np.maximum(shares, 1e-4))

    found = temperature_for(logits, voted(shares))

    assert share_reliability(softmax(logits, found), shares).error < 0.02
    assert softmax(logits, found)[200:].max(axis=1) == pytest.approx(np.full(200, 0.5), abs=0.02)


def test_the_temperature_is_lowered_until_the_clear_faces_are_calibrated() -> None:
    """Seven of ten voters agree on each face and the network is always right: honest shares are too low for the majority."""
    random = np.random.default_rng(0)
    classes = random.integers(0, 7, 300)
    shares = np.full((300, 7), 0.3 / 6)
    shares[np.arange(300), classes] = 0.7
    faces = voted(np.where(shares == 0.7, 0.7, 0.0))
    assert faces.votes is not None
    faces.votes[np.arange(300), np.array(COLUMNS)[(classes + 1) % 7]] = 3
    logits = np.log(shares)

    found = temperature_for(logits, faces)

    assert reliability(softmax(logits, found), classes).error <= CLEAR_ERROR
    target = np.zeros((300, 7))
    target[np.arange(300), classes], target[np.arange(300), (classes + 1) % 7] = 0.7, 0.3
    assert found < fit_temperature_to_shares(logits, target)


def test_without_votes_it_is_fitted_to_the_labels() -> None:
    faces = make_faces(0, 70, votes=False)
    logits = np.eye(7)[faces.labels]
    assert temperature_for(logits, faces) == pytest.approx(0.2, abs=0.01)


def test_without_a_usable_vote_it_is_one() -> None:
    faces = make_faces(0, 7)
    assert temperature_for(np.eye(7)[faces.labels], replace(faces, votes=np.ones((7, 10), np.int64))) == 1.0
