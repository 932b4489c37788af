"""The values that the stages of a pipeline follow."""

from __future__ import annotations

import pytest

from ferstream.pipeline.components import PipelineConfig


@pytest.mark.parametrize(("per_face", "smallest_group"), [(True, 0), (False, 3)])
def test_the_size_of_a_group_matters_only_when_single_faces_are_not_published(per_face: bool, smallest_group: int) -> None:
    assert PipelineConfig(per_face=per_face, min_group_size=3).smallest_group == smallest_group
