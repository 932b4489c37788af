from __future__ import annotations

import math
from dataclasses import asdict, replace
from typing import Any

import pytest
from pydantic import ValidationError

from ferstream.training.fitting.recipe import RECIPES, Recipe


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"optimizer": "lion"}, "'adam', 'adamw' or 'sgd'"),
        ({"schedule": "steps"}, "'cosine', 'plateau' or 'constant'"),
        ({"precision": "int8"}, "'float32', 'mixed_bfloat16' or 'mixed_float16'"),
        ({"epochs": 0}, "greater than 0"),
        ({"batch": 0}, "greater than 0"),
        ({"label_weight": 1.5}, "less than or equal to 1"),
        ({"teacher_weight": 1.1}, "less than or equal to 1"),
        ({"seed": -1}, "greater than or equal to 0"),
        ({"seed": 2**31}, "less than 2147483648"),
        ({"mixup": -0.1}, "greater than or equal to 0"),
        ({"learning_rate": math.nan}, "a finite number"),
        ({"learning_rate": math.inf}, "a finite number"),
        ({"weight_decay": -1e-3}, "greater than or equal to 0"),
        ({"warmup_epochs": -1}, "greater than or equal to 0"),
        ({"patience_epochs": -1}, "greater than or equal to 0"),
        ({"frozen_epochs": -1}, "greater than or equal to 0"),
        ({"fine_tune_scale": 0}, "greater than 0"),
    ],
)
def test_a_value_out_of_range_is_an_error_that_names_the_field(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=rf"{next(iter(changed))}\s+Input should be {says}"):
        replace(Recipe(), **changed)


@pytest.mark.parametrize("dropout", [1, -0.1, math.nan])
def test_a_dropout_out_of_range_is_an_error(dropout: float) -> None:
    with pytest.raises(ValidationError, match=r"options\s+Input should be"):
        Recipe(options={"dropout": dropout})


def test_each_recipe_has_the_name_of_its_architecture() -> None:
    assert all(recipe.arch == name for name, recipe in RECIPES.items())


def test_a_recipe_survives_json() -> None:
    import json

    recipe = replace(RECIPES["edge"], learning_rate=1)

    assert json.loads(json.dumps(asdict(recipe))) == asdict(recipe)


def test_a_base_with_random_weights_is_not_frozen() -> None:
    mobile = RECIPES["mobilenet"]

    assert mobile.frozen_epochs == 5
    assert replace(mobile, options={"weights": "none"}).frozen_epochs == 0
    assert replace(mobile, options={"weights": "none"}, init="mine").frozen_epochs == 5
