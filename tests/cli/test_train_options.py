"""Which recipe the options of ``ferstream train`` give, and which options are refused. Nothing is trained."""

from __future__ import annotations

from typing import Any

import pytest

from ferstream.cli.train_options import recipe_from
from ferstream.errors import DataError
from ferstream.training.data.augment import Augmentation
from ferstream.training.data.device_augmentation import DeviceAugmentation
from ferstream.training.fitting.recipe import RECIPES, TWO_HEADED_RECIPES


@pytest.mark.parametrize("arch", list(RECIPES))
def test_without_options_an_architecture_has_its_recipe_with_one_head(arch: str) -> None:
    assert recipe_from(arch, {}) == RECIPES[arch]


@pytest.mark.parametrize("arch", list(TWO_HEADED_RECIPES))
def test_two_heads_have_recipes_of_their_own(arch: str) -> None:
    assert recipe_from(arch, {"two_heads": True}) == TWO_HEADED_RECIPES[arch]


def test_teachers_with_two_heads_make_a_student_with_two_heads() -> None:
    recipe = recipe_from("edge", {"teacher": ["a.keras", "b.keras"], "dropout": 0.2, "mask": 0.3, "rotate_deg": 5.0})

    assert recipe.two_heads
    assert (recipe.teachers, recipe.teacher) == (["a.keras", "b.keras"], "")
    assert recipe.options == {"dropout": 0.2}
    assert isinstance(recipe.augmentation, DeviceAugmentation)
    assert (recipe.augmentation.mask, recipe.augmentation.rotate_deg) == (0.3, 5.0)


def test_a_bundle_teaches_one_head() -> None:
    recipe = recipe_from("edge", {"teacher": ["emotion-edge"]})

    assert (recipe.two_heads, recipe.teacher, recipe.teachers) == (False, "emotion-edge", [])
    assert isinstance(recipe.augmentation, Augmentation)


def test_bundles_with_two_heads_teach_two_heads() -> None:
    assert recipe_from("small", {"two_heads": True, "teacher": ["emotion-large"]}).teachers == ["emotion-large"]


@pytest.mark.parametrize(
    ("arch", "given", "says"),
    [
        ("mobilenet", {"two_heads": True}, "--arch 'mobilenet' has one head; two heads have edge, small, large"),
        ("edge", {"mask": 0.1}, "--mask is for two heads: give --two-heads or leave it out"),
        ("edge", {"landmark_px": 1.0}, "--landmark is for two heads"),
        ("edge", {"mixup_share": 0.5}, "--mixup-share is for two heads"),
        ("edge", {"two_heads": True, "label_weight": 0.3}, "--label-weight is for one head"),
        ("edge", {"two_heads": True, "bundle": "x"}, "--bundle is for one head; with two heads 'ferstream balance' writes the bundle"),
        ("edge", {"teacher": ["emotion-edge", "emotion-large"]}, "--teacher: one head has one teacher"),
        ("edge", {"two_heads": True, "mask": 0.6, "hand": 0.6}, "augmentation: mask, hand, glasses and lower_face are at most 1 together"),
        ("edge", {"two_heads": True, "mask": 1.6}, "--mask should be less than or equal to 1, got 1.6"),
    ],
)
def test_options_that_contradict_each_other_are_refused(arch: str, given: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError, match="^" + says):
        recipe_from(arch, given)
