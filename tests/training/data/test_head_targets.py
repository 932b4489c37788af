from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ferstream.domain.emotion import LABELS
from ferstream.errors import DataError
from ferstream.training.data.dataset import VOTE_NAMES
from ferstream.training.data.head_targets import head_targets
from tests.support.face_sets import make_faces


def votes_of(**counts: int) -> list[int]:
    return [counts.get(name, 0) for name in VOTE_NAMES]


def test_each_head_has_its_own_targets_and_priors() -> None:
    faces = replace(
        make_faces(2, 0), labels=np.array([0, 3]), votes=np.array([votes_of(anger=5, neutral=5), votes_of(happiness=8, contempt=2)])
    )

    targets = head_targets(faces, smoothing=0.1)

    anger, happy, neutral = (LABELS.index(label) for label in ("angry", "happy", "neutral"))
    assert targets.votes[0, [anger, neutral]] == pytest.approx([0.5, 0.5])
    assert targets.votes[1, happy] == pytest.approx(1.0)
    assert targets.labels[0, anger] == pytest.approx(0.9 + 0.1 / 7)
    assert targets.votes_weights == pytest.approx([1.0, 0.3 + 0.7 * 0.8])
    assert targets.priors["labels"][anger] == pytest.approx(0.5, abs=1e-3)
    assert targets.priors["votes"][happy] == pytest.approx(0.86 / 1.86, abs=1e-3)
    assert all(sum(shares) == pytest.approx(1.0) and min(shares) > 0 for shares in targets.priors.values())


def test_faces_without_votes_are_refused() -> None:
    with pytest.raises(DataError, match="two heads need FER"):
        head_targets(make_faces(7, 0, votes=False))
