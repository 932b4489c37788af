from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ferstream.training.data.augment import Augmentation
from tests.support.faces import draw_faces

OFF = Augmentation(flip=False, rotate_deg=0, shift_px=0, scale=0, contrast=0, gamma=0, erase=0, soften=0, noise=0)
FACES = draw_faces(np.arange(7))


def test_without_any_kind_faces_are_unchanged() -> None:
    np.testing.assert_array_equal(OFF(FACES, np.random.default_rng(0)), FACES)


def test_the_same_seed_gives_the_same_faces_and_another_others() -> None:
    first, again, other = (Augmentation()(FACES, np.random.default_rng(seed)) for seed in (1, 1, 2))

    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_a_flip_is_a_mirror_image() -> None:
    flipped = Augmentation(flip=True, rotate_deg=0, shift_px=0, scale=0, contrast=0, gamma=0, erase=0, soften=0, noise=0)

    varied = flipped(np.repeat(FACES[:1], 40, axis=0), np.random.default_rng(0))

    mirrored = [np.array_equal(face, FACES[0, :, ::-1]) for face in varied]
    same = [np.array_equal(face, FACES[0]) for face in varied]
    assert all(a or b for a, b in zip(mirrored, same, strict=True))
    assert any(mirrored)
    assert any(same)


@pytest.mark.parametrize("kind", ["rotate_deg", "shift_px", "scale", "contrast", "gamma", "erase", "soften", "noise"])
def test_each_kind_alone_changes_faces(kind: str) -> None:
    strength = {"rotate_deg": 15.0, "shift_px": 4.0}.get(kind, 1.0 if kind in {"erase", "soften", "noise"} else 0.3)
    one = Augmentation(**{**{name: getattr(OFF, name) for name in OFF.__slots__}, kind: strength})

    assert (one(FACES, np.random.default_rng(3)) != FACES).any()


@settings(max_examples=20)
@given(st.integers(0, 2**32))
def test_faces_keep_shape_and_type_and_the_originals(seed: int) -> None:
    before = FACES.copy()

    varied = Augmentation(erase=1.0, soften=1.0, noise=1.0)(FACES, np.random.default_rng(seed))

    assert varied.shape == FACES.shape
    assert varied.dtype == np.uint8
    np.testing.assert_array_equal(FACES, before)


@pytest.mark.parametrize(
    ("kind", "value", "says"),
    [
        ("rotate_deg", -1, "greater than or equal to 0"),
        ("rotate_deg", 181, "less than or equal to 180"),
        ("shift_px", 49, "less than or equal to 48"),
        ("scale", 1, "less than 1"),
        ("contrast", -0.1, "greater than or equal to 0"),
        ("gamma", 8.1, "less than or equal to 8"),
        ("gamma", float("nan"), "a finite number"),
        ("erase", 1.1, "less than or equal to 1"),
        ("soften", -1, "greater than or equal to 0"),
        ("noise", 2, "less than or equal to 1"),
    ],
)
def test_a_value_out_of_range_is_an_error_that_names_the_field(kind: str, value: float, says: str) -> None:
    with pytest.raises(ValidationError, match=rf"{kind}\s+Input should be {says}"):
        replace(Augmentation(), **{kind: value})  # type: ignore[arg-type]
