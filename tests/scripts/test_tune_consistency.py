"""Tuning makes the answers to a face and to its moved mirror image agree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("keras", reason="the Keras extra is not installed")

from keras import ops

from ferstream.training.fitting.architectures import small
from ferstream.training.two_heads import HEADS, TwoHeadedNetwork, TwoHeads
from scripts.tune_consistency import Settings, divergence, mixed, moved, taught, tune

FACES = np.random.default_rng(0).integers(0, 256, (8, 48, 48), np.uint8)


@pytest.fixture(scope="module")
def start() -> TwoHeadedNetwork:
    shares = (1 / 7,) * 7
    return TwoHeadedNetwork(small(two_heads=True), TwoHeads(architecture="small", priors={"votes": shares, "labels": shares}))


def test_the_divergence_is_that_of_both_directions() -> None:
    one, other = np.array([[0.5, 0.5]]), np.array([[0.9, 0.1]])
    both = (one * np.log(one / other)).sum() + (other * np.log(other / one)).sum()
    assert float(ops.convert_to_numpy(divergence(np.log(one), np.log(other)))) == pytest.approx(both / 2)
    assert float(ops.convert_to_numpy(divergence(np.log(one), np.log(one)))) == 0


def test_a_moved_face_differs_little_and_the_same_seed_moves_it_the_same_way() -> None:
    smooth = np.add.outer(np.arange(48), np.arange(48)).astype(np.uint8)[np.newaxis]
    first, second = (moved(smooth, np.random.default_rng(1)) for _ in range(2))
    assert np.array_equal(first, second)
    assert 0 < np.abs(first.astype(int) - smooth).mean() < 10


def test_teachers_answer_the_same_to_a_face_and_to_its_mirror_image(start: TwoHeadedNetwork) -> None:
    plain, mirrored = taught([start.network], FACES), taught([start.network], np.ascontiguousarray(FACES[:, :, ::-1]))
    for head in HEADS:
        assert plain[head].sum(axis=1) == pytest.approx(np.ones(8), abs=1e-5)
        assert plain[head] == pytest.approx(mirrored[head], abs=1e-5)


def test_the_start_stays_and_a_part_of_it_is_kept(start: TwoHeadedNetwork) -> None:
    targets = {head: np.eye(7, dtype=np.float32)[np.arange(8) % 7] for head in HEADS}
    settings = Settings(epochs=1, batch=4, rate=0.01, average=0.0, precision="float32")
    before = [weight.copy() for weight in start.network.get_weights()]

    tuned, same = (tune(start, FACES, targets, replace(settings, kept=kept)).get_weights() for kept in (0.0, 1.0))

    assert all(np.array_equal(old, now) for old, now in zip(before, start.network.get_weights(), strict=True))
    assert all(np.array_equal(old, now) for old, now in zip(before, same, strict=True))
    assert max(float(np.abs(old - now).max()) for old, now in zip(before, tuned, strict=True)) > 1e-3


def test_mixed_weights_lie_between_both() -> None:
    assert mixed([np.zeros(2, np.float32)], [np.ones(2, np.float32)], 0.2)[0] == pytest.approx([0.8, 0.8])
