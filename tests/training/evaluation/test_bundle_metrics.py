from __future__ import annotations

from pathlib import Path

import pytest

from ferstream.training.evaluation.bundle_metrics import bundle_metrics
from tests.support.bundles import tiny_openvino_bundle
from tests.support.face_sets import make_faces


@pytest.mark.parametrize(("votes", "truths"), [(True, ("fer2013", "ferplus")), (False, ("fer2013",))])
def test_a_bundle_is_scored_by_each_truth_and_timed(tmp_path: Path, votes: bool, truths: tuple[str, ...]) -> None:
    metrics = bundle_metrics(tiny_openvino_bundle(tmp_path), make_faces(7, 14, votes=votes), "PublicTest")

    assert set(metrics) == {*(f"PublicTest, {truth}" for truth in truths), "PublicTest, all rows", "ms_per_face", "ms_per_face_on"}
    assert metrics["PublicTest, fer2013"]["rows"] == 14
    assert set(metrics["ms_per_face"]) == {"openvino"}
