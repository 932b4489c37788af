"""The options of ``ferstream train`` as a recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ferstream.errors import DataError

if TYPE_CHECKING:
    from ferstream.training.data.augment import Augmentation
    from ferstream.training.data.device_augmentation import DeviceAugmentation
    from ferstream.training.fitting.recipe import Recipe

_ARCHITECTURE_OPTIONS = ("weights", "dropout")
_OPTION_OF_FIELD = {
    "rotate_deg": "rotate",
    "shift_px": "shift",
    "patience_epochs": "patience",
    "landmark_px": "landmark",
    "motion_px": "motion",
}
"""Fields whose option has another name."""
_ONE_HEAD_ONLY = ("label_weight", "class_weights", "init", "frozen_epochs", "fine_tune_scale", "bundle", "name")
_TWO_HEADS_ONLY = ("labels_loss", "mixup_share", "teacher_temperature")


def recipe_from(arch: str, given: Mapping[str, Any]) -> Recipe:
    """Return the recipe of an architecture, changed by the options that were given.

    Args:
        arch: Name of the architecture.
        given: Value of each option by parameter name; None where it was not given.

    Raises:
        DataError: The architecture is unknown, values are out of range, or options contradict each other.
    """
    from ferstream.training.fitting.recipe import RECIPES, TWO_HEADED_RECIPES, Recipe

    if arch not in RECIPES:
        raise DataError(f"--arch {arch!r} is unknown; choose one of {', '.join(RECIPES)}")
    two_heads = wants_two_heads(given)
    if two_heads and arch not in TWO_HEADED_RECIPES:
        raise DataError(f"--arch {arch!r} has one head; two heads have {', '.join(TWO_HEADED_RECIPES)}")
    _check_heads(given, two_heads=two_heads)
    options = {key: given[key] for key in _ARCHITECTURE_OPTIONS if given.get(key) is not None}
    if "weights" in options and arch != "mobilenet":
        raise DataError(f"--weights is for --arch mobilenet; {arch} has no pretrained weights")
    if options.get("weights") == "none" and given.get("frozen_epochs") and not given.get("init"):
        raise DataError("--frozen-epochs: with --weights none there are no pretrained weights to freeze; leave one of the two out")
    recipe = (TWO_HEADED_RECIPES if two_heads else RECIPES)[arch]
    options = {**recipe.options, **options} if two_heads else options
    try:
        changes = _known(Recipe, given) | _teachers(given, two_heads=two_heads)
        return replace(recipe, **changes, augmentation=_augmentation(given, two_heads=two_heads), options=options)
    except ValidationError as error:
        raise DataError("; ".join(_describe(problem) for problem in error.errors())) from error


def wants_two_heads(given: Mapping[str, Any]) -> bool:
    """Return whether a network with two heads is asked for: by --two-heads, or by teachers that are files of such networks."""
    return bool(given.get("two_heads")) or any(teacher.endswith(".keras") for teacher in given.get("teacher") or ())


def _check_heads(given: Mapping[str, Any], *, two_heads: bool) -> None:
    """Refuse options that have no effect with this number of heads."""
    from ferstream.training.data.augment import Augmentation
    from ferstream.training.data.device_augmentation import DeviceAugmentation

    here, there = (DeviceAugmentation, Augmentation) if two_heads else (Augmentation, DeviceAugmentation)
    without = {field.name for field in fields(there)} - {field.name for field in fields(here)}
    refused = [*(_ONE_HEAD_ONLY if two_heads else _TWO_HEADS_ONLY), *sorted(without)]
    wrong = next((name for name in refused if given.get(name) not in (None, "")), None)
    if wrong in ("bundle", "name"):
        raise DataError(f"--{wrong} is for one head; with two heads 'ferstream balance' writes the bundle")
    if wrong is not None:
        raise DataError(f"--{_option(wrong)} is for {'one head' if two_heads else 'two heads: give --two-heads or leave it out'}")
    if not two_heads and len(given.get("teacher") or ()) > 1:
        raise DataError("--teacher: one head has one teacher; give --two-heads for a group of them")


def _teachers(given: Mapping[str, Any], *, two_heads: bool) -> dict[str, Any]:
    """Return the fields of the recipe that hold the teachers."""
    teachers: Sequence[str] = given.get("teacher") or ()
    if two_heads:
        return {"teachers": list(teachers), "two_heads": True}
    return {"teacher": teachers[0] if teachers else ""}


def _augmentation(given: Mapping[str, Any], *, two_heads: bool) -> Augmentation | DeviceAugmentation | None:
    from ferstream.training.data.augment import Augmentation
    from ferstream.training.data.device_augmentation import DeviceAugmentation

    kind = DeviceAugmentation if two_heads else Augmentation
    return kind(**_known(kind, given)) if given.get("augment", True) else None


def _known(kind: type[Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the given options that are fields of a settings class."""
    names = {field.name for field in fields(kind)} - {"arch", "teacher", "two_heads"}
    return {key: value for key, value in given.items() if key in names and value is not None}


def _option(field: str) -> str:
    return _OPTION_OF_FIELD.get(field, field).replace("_", "-")


def _describe(problem: Any) -> str:
    """Return a problem that pydantic found as one line, with the name of the option."""
    message = str(problem["msg"]).removeprefix("Input ").removeprefix("Value error, ")
    if not problem["loc"]:
        return f"augmentation: {message}"
    field = str(problem["loc"][0])
    return f"--{_option('dropout' if field == 'options' else field)} {message}, got {problem['input']!r}"
