from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.domain.emotion import LABELS
from ferstream.errors import DataError
from ferstream.training.data.dataset import VOTE_NAMES
from ferstream.training.data.targets import NO_MAJORITY, blend, majority, soft_targets, vote_distribution
from tests.support.face_sets import make_faces

VOTES = st.lists(st.integers(0, len(VOTE_NAMES) - 1), min_size=10, max_size=10).map(
    lambda chosen: np.bincount(chosen, minlength=len(VOTE_NAMES))[None]
)


def votes(**counts: int) -> np.ndarray:
    return np.array([[counts.get(name, 0) for name in VOTE_NAMES]], np.int64)


def test_votes_become_shares_of_their_classes() -> None:
    shares, usable = vote_distribution(votes(happiness=6, anger=2, contempt=2))

    assert usable.tolist() == [True]
    assert dict(zip(LABELS, shares[0].tolist(), strict=True)) == {label: {"happy": 0.75, "angry": 0.25}.get(label, 0.0) for label in LABELS}


def test_a_single_vote_is_dropped() -> None:
    shares, _ = vote_distribution(votes(sadness=9, fear=1))

    assert shares[0, LABELS.index("sad")] == 1.0


def test_a_row_without_usable_votes_has_its_label_as_target() -> None:
    faces = make_faces(7, 0)
    unusable = np.repeat(votes(contempt=4, unknown=3, NF=3), 7, axis=0)

    np.testing.assert_array_equal(soft_targets(replace(faces, votes=unusable)), np.eye(7, dtype=np.float32)[faces.labels])


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"happiness": 6, "neutral": 4}, LABELS.index("happy")),
        ({"happiness": 5, "neutral": 5}, NO_MAJORITY),
        ({"contempt": 8, "neutral": 2}, NO_MAJORITY),
        ({"NF": 10}, NO_MAJORITY),
    ],
)
def test_a_majority_is_more_than_half_of_all_voters(counts: dict[str, int], expected: int) -> None:
    assert majority(votes(**counts)).tolist() == [expected]


@given(VOTES, st.floats(0, 1), st.floats(0, 0.3))
def test_targets_are_distributions(counts: np.ndarray, label_weight: float, smoothing: float) -> None:
    faces = replace(make_faces(1, 0), votes=counts)

    targets = soft_targets(faces, label_weight=label_weight, smoothing=smoothing)

    assert targets.shape == (1, 7)
    assert targets.min() >= smoothing / 7 - 1e-6
    assert targets.sum() == pytest.approx(1.0, abs=1e-5)


@given(VOTES)
def test_a_majority_is_the_class_with_most_weight(counts: np.ndarray) -> None:
    best = majority(counts)[0]

    if best != NO_MAJORITY:
        assert vote_distribution(counts)[0][0].argmax() == best


def test_a_teacher_is_blended_by_its_weight() -> None:
    targets, teacher = np.eye(7, dtype=np.float32)[:2], np.full((2, 7), 1 / 7, np.float32)

    np.testing.assert_allclose(blend(targets, teacher, 0.25), 0.75 * targets + 0.25 / 7, atol=1e-6)


def test_a_teacher_of_other_faces_is_an_error() -> None:
    with pytest.raises(DataError, match=r"have shape \(2, 7\), expected \(3, 7\)"):
        blend(np.zeros((3, 7), np.float32), np.zeros((2, 7), np.float32), 0.5)
