from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from pydantic import ValidationError

pytest.importorskip("keras")

from ferstream.inference.alignment import CANONICAL, similarity
from ferstream.training.data.augment_ops import FaceAugmenter, motion_blur, realigned, sample
from ferstream.training.data.device_augmentation import DeviceAugmentation
from tests.support.faces import draw_faces

Faces = npt.NDArray[Any]

ZEROS: dict[str, Any] = {field.name: 0.0 for field in fields(DeviceAugmentation) if field.name not in {"flip", "motion_px"}}
OFF = DeviceAugmentation(**ZEROS, flip=False)
"""Settings that change nothing."""
GREY = np.full((32, 48, 48), 128, np.uint8)
EYES, MOUTH, CHIN = np.s_[:, 16:20, 13:35], np.s_[:, 34:39, 18:30], np.s_[:, 44:47, 20:28]
FOREHEAD = np.s_[:, 2:8, 8:40]


def augment(faces: Faces, **changes: Any) -> Faces:
    """The faces, varied by some settings only."""
    augmenter = FaceAugmenter(replace(OFF, **changes))
    augmenter.restart(1, 0)
    return np.asarray(augmenter(faces))


def changed(faces: Faces, region: Any) -> float:
    """Share of faces of 128 grey that differ in a region."""
    return float((np.abs(faces[region] - 128.0).mean(axis=(1, 2)) > 3).mean())


@pytest.fixture(scope="module")
def faces() -> Faces:
    return draw_faces(np.arange(6) % 7, seed=3)


def test_settings_of_zero_and_none_leave_faces_unchanged(faces: Faces) -> None:
    np.testing.assert_allclose(augment(faces), faces, atol=0.1)
    np.testing.assert_array_equal(np.asarray(FaceAugmenter(None)(faces)), faces)


def test_random_values_depend_on_seed_and_epoch_only(faces: Faces) -> None:
    settings = DeviceAugmentation()
    one, other = FaceAugmenter(settings), FaceAugmenter(settings, seed=99)
    drawn = []
    for augmenter, epoch in ((one, 0), (one, 1), (other, 1)):
        augmenter.restart(5, epoch)
        drawn.append(np.asarray(augmenter(faces)))

    np.testing.assert_array_equal(drawn[1], drawn[2])
    assert np.abs(drawn[0] - drawn[1]).mean() > 1
    assert drawn[0].min() >= 0
    assert drawn[0].max() <= 255


def test_the_faces_of_a_batch_are_varied_differently() -> None:
    varied = augment(np.repeat(draw_faces(np.array([3]), seed=1), 4, axis=0), rotate_deg=20.0)
    assert all(np.abs(varied[0] - other).mean() > 0.1 for other in varied[1:])


def test_half_of_the_faces_are_mirrored(faces: Faces) -> None:
    many = np.repeat(faces[:1], 32, axis=0)
    mirrored = np.abs(augment(many, flip=True) - many[:, :, ::-1]).max(axis=(1, 2)) < 0.5
    plain = np.abs(augment(many, flip=True) - many).max(axis=(1, 2)) < 0.5
    assert (mirrored ^ plain).all()
    assert 4 < mirrored.sum() < 28


def test_sampling_between_pixels_is_bilinear_and_repeats_the_edge() -> None:
    face = np.arange(48 * 48, dtype=np.float32).reshape(1, 48, 48)
    x = np.full((1, 48, 48), 10.5, np.float32)
    y = np.full((1, 48, 48), 20.25, np.float32)
    assert np.asarray(sample(face, x, y))[0, 0, 0] == pytest.approx(20.25 * 48 + 10.5)
    assert np.asarray(sample(face, x + 100, y))[0, 0, 0] == pytest.approx(20.25 * 48 + 47)


def test_landmark_errors_have_the_effect_they_have_on_the_alignment() -> None:
    errors = np.random.default_rng(1).normal(0, 1.5, (4, 5, 2)).astype(np.float32)
    x, y = np.full((1, 1, 1), 7.0, np.float32), np.full((1, 1, 1), 40.0, np.float32)

    moved = np.concatenate([np.asarray(part) for part in realigned(x, y, errors)], axis=2)[:, 0]

    for error, point in zip(errors, moved, strict=True):
        found = [(a + b, c + d) for (a, c), (b, d) in zip(CANONICAL, error.tolist(), strict=True)]
        matrix = np.asarray(similarity(found, CANONICAL))
        np.testing.assert_allclose(matrix @ [*point, 1.0], [7.0, 40.0], atol=1e-3)


def test_motion_blur_spreads_a_point_along_its_line() -> None:
    face = np.zeros((2, 48, 48), np.float32)
    face[:, 24, 24] = 240.0
    lengths = np.full((2, 1, 1), 8.0, np.float32)
    angles = np.array([0.0, math.pi / 2], np.float32).reshape(2, 1, 1)

    along, down = np.asarray(motion_blur(face, lengths, angles))

    assert along.sum() == pytest.approx(240.0, rel=1e-3)
    assert (along > 5).sum(axis=1)[24] in (8, 9)
    assert (along > 5).any(axis=1).sum() == 1
    np.testing.assert_allclose(down, along.T, atol=1e-3)


def test_softening_keeps_grey_and_removes_detail(faces: Faces) -> None:
    np.testing.assert_allclose(augment(GREY, soften=1.0), 128.0, atol=0.2)
    soft = augment(np.repeat(faces, 4, axis=0), soften=1.0)
    sharp = np.repeat(faces, 4, axis=0).astype(np.float32)
    assert (np.abs(np.diff(soft, axis=2)).mean(axis=(1, 2)) < np.abs(np.diff(sharp, axis=2)).mean(axis=(1, 2))).all()


@pytest.mark.parametrize(
    "setting", ["gamma", "contrast", "brightness", "slope", "noise", "erase", "shear", "perspective", "scale", "shift_px"]
)
def test_each_setting_varies_faces(faces: Faces, setting: str) -> None:
    strength = 20.0 if setting in {"brightness", "slope"} else 3.0 if setting == "shift_px" else 0.4
    assert np.abs(augment(np.repeat(faces, 2, axis=0), **{setting: strength}) - np.repeat(faces, 2, axis=0)).mean() > 0.3


@pytest.mark.parametrize(
    ("covering", "covered", "free"),
    [
        ("mask", (MOUTH, CHIN), (EYES, FOREHEAD)),
        ("hand", (MOUTH,), (FOREHEAD,)),
        ("glasses", (EYES,), (MOUTH, FOREHEAD)),
        ("lower_face", (MOUTH, CHIN), (EYES, FOREHEAD)),
    ],
)
def test_a_covering_hides_its_part_of_the_face(covering: str, covered: tuple[Any, ...], free: tuple[Any, ...]) -> None:
    drawn = augment(GREY, **{covering: 1.0})

    assert min(changed(drawn, region) for region in covered) > 0.85  # some cloths have about the grey of the face
    assert max(changed(drawn, region) for region in free) == 0.0


def test_a_face_gets_at_most_one_covering_as_often_as_asked() -> None:
    grey = np.full((256, 48, 48), 128, np.uint8)
    drawn = augment(grey, mask=0.25, glasses=0.25)
    eyes, mouth = (np.abs(drawn[region] - 128.0).mean(axis=(1, 2)) > 3 for region in (EYES, MOUTH))
    assert not (eyes & mouth).any()
    assert 0.15 < eyes.mean() < 0.35
    assert 0.1 < mouth.mean() < 0.35


def test_more_coverings_than_faces_are_refused() -> None:
    with pytest.raises(ValidationError, match="at most 1 together"):
        DeviceAugmentation(mask=0.6, hand=0.6)


def test_the_masks_lie_where_evaluation_draws_them() -> None:
    conditions = pytest.importorskip("ferstream.training.data.conditions", reason="the drawn conditions are not there yet")
    grey = np.full((64, 48, 48), 128, np.uint8)
    random = np.random.default_rng(2)
    for covering, draw in (("mask", conditions.mask), ("glasses", conditions.sunglasses), ("lower_face", conditions.cover_lower_face)):
        ours = (np.abs(augment(grey, **{covering: 1.0}) - 128) > 6).mean(axis=0)
        theirs = np.mean([np.abs(draw(face, random).astype(float) - 128) > 6 for face in grey], axis=0)
        assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.93, covering
