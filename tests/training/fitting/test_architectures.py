from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("keras")

from ferstream.errors import DataError, ModelError
from ferstream.training.fitting.architectures import ARCHITECTURES, build, mobilenet
from ferstream.training.fitting.recipe import RECIPES


def test_every_architecture_has_a_recipe() -> None:
    assert set(RECIPES) == set(ARCHITECTURES)


def test_an_unknown_architecture_is_an_error_that_lists_the_known() -> None:
    with pytest.raises(DataError, match="choose one of edge, small, large, sequential4, sequential3, mobilenet"):
        build(replace(RECIPES["edge"], arch="vgg"))


def test_missing_weights_are_an_error_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="give --weights FILE or --weights none"):
        mobilenet(weights=str(tmp_path / "nowhere.h5"))
