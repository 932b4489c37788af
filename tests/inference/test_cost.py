"""The cost of a face, measured at the start."""

from __future__ import annotations

import pytest

from ferstream.inference.cost import ms_per_face
from tests.support.classifiers import ScriptedClassifier


def test_the_fastest_call_counts_and_is_divided_by_its_faces() -> None:
    readings = iter([0.0, 0.5, 1.0, 1.008, 2.0, *range(10, 22)])
    assert ms_per_face(ScriptedClassifier(), now_s=lambda: next(readings)) == pytest.approx(2.0)
