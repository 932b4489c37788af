from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ferstream.detection.visibility import Visibility, load_visibility, measures
from ferstream.training.data import conditions
from ferstream.training.fitting.visibility import draw_examples, fit, save
from tests.support.pictures import portrait_crop


def test_a_network_learns_which_faces_are_covered_and_survives_its_file(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    clean = [conditions.noise(portrait_crop(), 4, random) for _ in range(300)]
    covered = [conditions.mask(face, random) for face in clean]
    examples = np.stack([measures(crop) for crop in (*clean, *covered)])
    faults = np.zeros((600, 3), np.float32)
    faults[300:, 1] = 1

    save(fit(examples, faults, hidden=16, epochs=120), tmp_path / "network.npz")

    network = load_visibility(tmp_path / "network.npz")
    other = np.random.default_rng(1)
    assert network.faults(conditions.noise(portrait_crop(), 4, other))[1] < 0.3
    assert network.faults(conditions.mask(portrait_crop(), other))[1] > 0.7


def test_entries_that_do_not_matter_teach_nothing() -> None:
    random = np.random.default_rng(0)
    examples = random.normal(0, 1, (512, 6)).astype(np.float32)
    faults = np.full((512, 3), -1, np.float32)
    faults[:, 0] = examples[:, 0] > 0
    ignored = fit(examples, faults, hidden=4, epochs=150)
    taught = fit(examples, np.where(faults < 0, 1, faults), hidden=4, epochs=150)

    def mean_answer(network: Visibility, fault: int) -> float:
        inner = np.maximum((examples - network.mean) / network.scale @ network.hidden.T + network.hidden_bias, 0)
        return float((inner @ network.output.T + network.output_bias)[:, fault].mean())

    assert mean_answer(taught, 2) > 1
    assert abs(mean_answer(ignored, 2)) < 0.7


def test_the_same_seed_fits_the_same_network() -> None:
    faces = np.stack([portrait_crop()] * 8)
    one, same = (draw_examples(faces, rounds=2, seed=4) for _ in range(2))
    assert np.array_equal(one[0], same[0]) and len(one[0]) == 16
    repeated = np.repeat(one[0], 20, axis=0), np.repeat(one[1], 20, axis=0)
    first, second = (fit(*repeated, hidden=4, epochs=2) for _ in range(2))
    assert first.hidden == pytest.approx(second.hidden)
