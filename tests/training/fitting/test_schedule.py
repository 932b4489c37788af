from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("keras")

from ferstream.training.fitting.schedule import FLOOR, Cosine, Plateau


def test_the_cosine_warms_up_to_its_peak_and_ends_at_the_floor() -> None:
    cosine = Cosine(peak=1.0, total_steps=100, warmup_steps=10)
    rates = [cosine.at(step) for step in range(101)]

    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == rates[10] == pytest.approx(1.0)
    assert rates[55] == pytest.approx(0.5, abs=0.01)
    assert rates[100] == pytest.approx(FLOOR)


def test_without_warm_up_the_cosine_starts_at_its_peak() -> None:
    assert Cosine(peak=2e-3, total_steps=10, warmup_steps=0).at(0) == pytest.approx(2e-3)


@given(st.integers(1, 500), st.integers(0, 100), st.integers(0, 1000))
def test_the_learning_rate_is_between_zero_and_the_peak(total: int, warmup: int, step: int) -> None:
    rate = Cosine(peak=2e-3, total_steps=total, warmup_steps=warmup).at(step)

    assert 0 < rate <= 2e-3 * (1 + 1e-6)  # Keras computes in float32


def test_a_stalled_loss_halves_the_rate_and_a_lower_one_does_not() -> None:
    plateau = Plateau(rate=1.0, patience=2)
    for loss in (1.0, 0.9, 0.9, 0.8, 0.8):
        plateau.observe(loss)
    assert plateau.rate == 1.0

    plateau.observe(0.8)

    assert plateau.rate == 0.5


def test_the_rate_does_not_fall_below_its_lowest_value() -> None:
    plateau = Plateau(rate=1.0, patience=1)
    for _ in range(100):
        plateau.observe(0.8)

    assert plateau.rate == plateau.lowest
