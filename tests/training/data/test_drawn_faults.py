from __future__ import annotations

import numpy as np

from ferstream.detection.visibility import FAULTS
from ferstream.training.data.drawn_faults import draw_faults
from tests.support.pictures import portrait_crop


def drawn(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    return draw_faults(np.stack([portrait_crop()] * count), np.random.default_rng(seed))


def test_every_fault_is_drawn_and_many_faces_have_none() -> None:
    faces, faults = drawn(300, 0)

    assert faces.shape == (300, 48, 48) and faces.dtype == np.uint8
    assert set(np.unique(faults)) == {-1.0, 0.0, 1.0}
    assert ((faults == 1).sum(axis=0) > 4).all()
    assert (faults == 0).all(axis=1).mean() > 0.3
    assert ((faults == 1).sum(axis=1) <= 1).all()


def test_covered_faces_are_never_in_doubt() -> None:
    _, faults = drawn(300, 1)
    assert (faults[:, FAULTS.index("occluded")] >= 0).all()


def test_equal_seeds_draw_equal_examples() -> None:
    one, same, other = drawn(20, 3), drawn(20, 3), drawn(20, 4)
    assert np.array_equal(one[0], same[0]) and np.array_equal(one[1], same[1])
    assert not np.array_equal(one[0], other[0])
