from __future__ import annotations

from pathlib import Path

import numpy as np

from ferstream.training.data.readers import read_faces
from ferstream.training.export.sample_faces import faces_for_export, portrait_faces
from tests.support.bundles import random_crops


def test_the_portrait_faces_are_equal_on_every_call() -> None:
    faces = portrait_faces(6)
    assert faces.shape == (6, 48, 48)
    assert faces.dtype == np.uint8
    assert (faces == portrait_faces(6)).all()
    assert faces.std(axis=0).mean() > 5


def test_without_data_there_are_no_faces_to_calibrate_on() -> None:
    compared, calibrating, source = faces_for_export(None, faces=3, calibration=9)
    assert len(compared) == 3
    assert calibrating is None
    assert "sample portrait" in source


def test_training_rows_calibrate_and_the_others_compare(tmp_path: Path) -> None:
    crops = random_crops(6)
    rows = [f"{i % 7},{' '.join(map(str, crop.ravel()))},{'Training' if i < 4 else 'PublicTest'}" for i, crop in enumerate(crops)]
    path = tmp_path / "fer2013.csv"
    path.write_text("emotion,pixels,Usage\n" + "\n".join(rows) + "\n")
    compared, calibrating, source = faces_for_export(read_faces(path), faces=10, calibration=3)
    assert (compared == crops[4:]).all()
    assert calibrating is not None
    assert len(calibrating) == 3
    assert source == str(path)
