from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.training.fitting.schedule import Cosine, Plateau


def test_the_cosine_warms_up_peaks_and_ends_near_zero() -> None:
    rates = [Cosine(1.0, 100, 10).at(step) for step in range(101)]

    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == rates[10] == pytest.approx(1.0)
    assert rates[55] == pytest.approx(0.5, abs=0.01)
    assert rates[100] == pytest.approx(0.001)


@given(st.integers(1, 500), st.integers(0, 100), st.integers(0, 1000))
def test_the_rate_stays_between_floor_and_peak(total: int, warmup: int, step: int) -> None:
    assert 0 < Cosine(2e-3, total, warmup).at(step) <= 2e-3


def test_a_stalled_loss_halves_the_rate_and_a_better_one_does_not() -> None:
    plateau = Plateau(rate=1.0, patience=2)
    for loss in (1.0, 0.9, 0.9, 0.8, 0.8):
        plateau.observe(loss)
    assert plateau.rate == 1.0

    plateau.observe(0.8)

    assert plateau.rate == 0.5
    for _ in range(100):
        plateau.observe(0.8)
    assert plateau.rate == plateau.lowest
