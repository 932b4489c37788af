from __future__ import annotations

import numpy as np
import pytest

from ferstream.errors import DataError
from ferstream.training.data.augment import Augmentation
from ferstream.training.data.batches import TrainingBatches, balance, mix
from tests.support.face_sets import make_faces


def batches(count: int = 20, batch: int = 8, **options: object) -> TrainingBatches:
    arguments: dict[str, object] = {"faces": make_faces(count, 0), "batch": batch, "seed": 5, "augmentation": None, **options}
    return TrainingBatches(**arguments)  # type: ignore[arg-type]


def test_an_epoch_has_full_batches_of_faces_targets_and_weights() -> None:
    made = batches()

    drawn = list(made.epoch(0))

    assert len(made) == len(drawn) == 2
    for faces, targets, weights in drawn:
        assert faces.shape == (8, 48, 48, 1)
        assert faces.dtype == np.uint8
        assert targets.shape == (8, 7)
        assert targets.dtype == np.float32
        assert weights.tolist() == [1.0] * 8


def test_each_face_occurs_once_in_an_epoch_and_epochs_differ() -> None:
    made = batches(16)
    seen = np.concatenate([faces for faces, _, _ in made.epoch(0)])
    other = np.concatenate([faces for faces, _, _ in made.epoch(1)])

    assert len({face.tobytes() for face in seen}) == 16
    assert (seen != other).any()


def test_an_epoch_depends_on_seed_and_number_only() -> None:
    first = batches(augmentation=Augmentation())
    for _ in first.epoch(0):
        pass
    late = np.concatenate([faces for faces, _, _ in first.epoch(3)])

    resumed = np.concatenate([faces for faces, _, _ in batches(augmentation=Augmentation()).epoch(3)])

    np.testing.assert_array_equal(late, resumed)


def test_on_epoch_end_goes_to_the_next_epoch() -> None:
    made = batches()
    first = made[0][0]
    made.on_epoch_end()

    np.testing.assert_array_equal(made[0][0], next(batches().epoch(1))[0])
    assert (made[0][0] != first).any()


def test_fewer_faces_than_a_batch_are_an_error_that_names_the_option() -> None:
    with pytest.raises(DataError, match="7 training faces are fewer than one batch of 8; give a smaller --batch"):
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


def test_a_teacher_is_blended_into_the_targets() -> None:
    made = batches(14, 14)
    plain = made[0][1]

    made.blend_in(np.full((14, 7), 1 / 7, np.float32), 0.25)

    np.testing.assert_allclose(made[0][1], 0.75 * plain + 0.25 / 7, atol=1e-6)
