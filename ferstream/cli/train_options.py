"""The options of ``ferstream train`` as a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ferstream.errors import DataError

if TYPE_CHECKING:
    from ferstream.training.data.augment import Augmentation
    from ferstream.training.fitting.recipe import Recipe

_ARCHITECTURE_OPTIONS = ("weights", "dropout")
_OPTION_OF_FIELD = {"rotate_deg": "rotate", "shift_px": "shift", "patience_epochs": "patience"}
"""Fields whose option has another name."""


def recipe_from(arch: str, given: Mapping[str, Any]) -> Recipe:
    """Return the recipe of an architecture, changed by the options that were given.

    Args:
        arch: Name of the architecture.
        given: Value of each option by parameter name; None where it was not given.

    Raises:
        DataError: The architecture is unknown, values are out of range, or options contradict each other.
    """
    from ferstream.training.fitting.recipe import RECIPES, Recipe

    if arch not in RECIPES:
        raise DataError(f"--arch {arch!r} is unknown; choose one of {', '.join(RECIPES)}")
    options = {key: given[key] for key in _ARCHITECTURE_OPTIONS if given.get(key) is not None}
    if "weights" in options and arch != "mobilenet":
        raise DataError(f"--weights is for --arch mobilenet; {arch} has no pretrained weights")
    if options.get("weights") == "none" and given.get("frozen_epochs") and not given.get("init"):
        raise DataError("--frozen-epochs: with --weights none there are no pretrained weights to freeze; leave one of the two out")
    try:
        return replace(RECIPES[arch], **_known(Recipe, given), augmentation=_augmentation(given), options=options)
    except ValidationError as error:
        raise DataError("; ".join(_describe(problem) for problem in error.errors())) from error


def _augmentation(given: Mapping[str, Any]) -> Augmentation | None:
    from ferstream.training.data.augment import Augmentation

    return Augmentation(**_known(Augmentation, given)) if given.get("augment", True) else None


def _known(kind: type[Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the given options that are fields of a settings class."""
    names = {field.name for field in fields(kind)} - {"arch"}
    return {key: value for key, value in given.items() if key in names and value is not None}


def _describe(problem: Any) -> str:
    """Return a problem that pydantic found as one line, with the name of the option."""
    field = next((str(part) for part in problem["loc"]), "")
    field = "dropout" if field == "options" else field
    message = str(problem["msg"]).removeprefix("Input ")
    return f"--{_OPTION_OF_FIELD.get(field, field).replace('_', '-')} {message}, got {problem['input']!r}"
