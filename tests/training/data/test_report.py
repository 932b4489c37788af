from __future__ import annotations

from pathlib import Path

import cv2

from ferstream.training.data.quality import inspect
from ferstream.training.data.report import counts_by_class, data_report, write_pictures
from tests.support.face_sets import make_faces


def test_the_report_counts_classes_and_faults() -> None:
    faces = make_faces(14, 7)
    faces.pixels[1] = 128

    report = data_report(faces, inspect(faces))

    assert report["rows"] == 21
    assert report["classes"]["Training"]["happy"] == 2
    assert report["faults"]["blank"] == 1
    assert report["faulty_rows"]["blank"] == [3]
    assert report["left_out_of_training"] == 1
    assert list(counts_by_class(faces)) == ["Training", "PublicTest"]


def test_the_bar_chart_and_the_sample_sheet_are_drawn(tmp_path: Path) -> None:
    paths = list(write_pictures(make_faces(), tmp_path / "new"))

    assert [path.name for path in paths] == ["classes.png", "samples.png"]
    for path in paths:
        picture = cv2.imread(str(path))
        assert picture is not None
        assert picture.std() > 5
