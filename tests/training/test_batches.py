from __future__ import annotations

import numpy as np
import pytest

from ferstream.errors import DataError
from ferstream.training.data.augment import Augmentation
from ferstream.training.data.batches import TrainingBatches, balance, mix
from tests.training.conftest import make_faces


def batches(count: int = 20, batch: int = 8, **options: object) -> TrainingBatches:
    arguments: dict[str, object] = {"faces": make_faces(count, 0), "batch": batch, "seed": 5, "augmentation": None, **options}
    return TrainingBatches(**arguments)  # type: ignore[arg-type]


def test_an_epoch_is_whole_batches_of_faces_targets_and_weights() -> None:
    made = batches()

    drawn = list(made.epoch(0))

    assert len(made) == len(drawn) == 2
    for faces, targets, weights in drawn:
        assert faces.shape == (8, 48, 48, 1)
        assert faces.dtype == np.uint8
        assert targets.shape == (8, 7)
        assert targets.dtype == np.float32
        assert weights.tolist() == [1.0] * 8


def test_no_face_comes_twice_in_an_epoch_and_epochs_differ() -> None:
    made = batches(16)
    seen = np.concatenate([faces for faces, _, _ in made.epoch(0)])
    other = np.concatenate([faces for faces, _, _ in made.epoch(1)])

    assert len({face.tobytes() for face in seen}) == 16
    assert (seen != other).any()


def test_an_epoch_depends_on_seed_and_number_alone() -> None:
    first = batches(augmentation=Augmentation())
    for _ in first.epoch(0):
        pass
    late = np.concatenate([faces for faces, _, _ in first.epoch(3)])

    resumed = np.concatenate([faces for faces, _, _ in batches(augmentation=Augmentation()).epoch(3)])

    np.testing.assert_array_equal(late, resumed)


def test_keras_can_drive_it_epoch_by_epoch() -> None:
    made = batches()
    first = made[0][0]
    made.on_epoch_end()

    np.testing.assert_array_equal(made[0][0], next(batches().epoch(1))[0])
    assert (made[0][0] != first).any()


def test_too_few_faces_for_a_batch_are_refused() -> None:
    with pytest.raises(DataError, match="7 training faces do not fill one batch of 8"):
        batches(7)


def test_rare_classes_weigh_more_and_the_mean_stays_one() -> None:
    targets = np.eye(7, dtype=np.float32)[[0] * 6 + [1, 2, 3, 4, 5, 6]]

    weights = balance(targets)

    assert weights[1] > weights[0]
    assert float((targets @ weights).mean()) == pytest.approx(1.0)
    assert {round(float(w), 4) for _, _, ws in batches(class_weights=True).epoch(0) for w in ws} != {1.0}


def test_mixup_blends_targets_as_it_blends_faces() -> None:
    faces = np.stack([np.full((48, 48), value, np.uint8) for value in (0, 200)])
    targets = np.eye(7, dtype=np.float32)[:2]

    mixed, blended = mix(faces, targets, 0.75, np.random.default_rng(1))

    for face, target in zip(mixed, blended, strict=True):
        assert face[0, 0] == pytest.approx(200 * target[1], abs=1)
        assert target.sum() == pytest.approx(1.0)
    assert all(targets.sum(axis=1) == pytest.approx(1.0) for _, targets, _ in batches(mixup=0.4).epoch(0))
