from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ferstream.errors import DataError
from ferstream.training.data.dataset import VOTE_NAMES
from ferstream.training.evaluation.quality import inspect
from ferstream.training.evaluation.report import counts_by_class, data_report, training_faces, unseen_faces
from tests.training.conftest import make_faces


def test_good_faces_have_no_faults() -> None:
    assert set(inspect(make_faces()).counts().values()) == {0}


def test_each_fault_is_found_where_it_is() -> None:
    faces = make_faces(14, 7)
    faces.pixels[1] = 128  # blank
    faces.pixels[2, :24], faces.pixels[2, 24:] = 0, 255  # two greys: no photograph
    faces.pixels[4] = faces.pixels[3]  # repeated
    faces.pixels[20] = faces.pixels[5]  # in both splits
    quality = inspect(faces)

    assert np.flatnonzero(quality.blank).tolist() == [1]
    assert np.flatnonzero(quality.broken).tolist() == [1, 2]
    assert np.flatnonzero(quality.repeated).tolist() == [4]
    assert np.flatnonzero(quality.leaked).tolist() == [5]
    assert np.flatnonzero(quality.seen).tolist() == [20]
    assert np.flatnonzero(~quality.usable).tolist() == [1, 2, 4, 5]
    assert len(training_faces(faces)) == 10
    assert len(training_faces(faces, keep_faulty=True)) == 13  # all but the leaked one
    assert len(unseen_faces(faces, "PublicTest")) == 6


def test_a_picture_in_which_voters_saw_no_face_is_broken() -> None:
    faces = make_faces(7, 0)
    votes = np.zeros((7, len(VOTE_NAMES)), np.int64)
    votes[3, VOTE_NAMES.index("NF")] = 6
    votes[3, 0] = 4

    assert np.flatnonzero(inspect(replace(faces, votes=votes)).broken).tolist() == [3]


def test_the_report_counts_classes_and_faults() -> None:
    faces = make_faces(14, 7)
    faces.pixels[1] = 128

    report = data_report(faces)

    assert report["rows"] == 21
    assert report["classes"]["Training"]["happy"] == 2
    assert report["faults"]["blank"] == 1
    assert report["faulty_rows"]["blank"] == [3]
    assert report["left_out_of_training"] == 1
    assert list(counts_by_class(faces)) == ["Training", "PublicTest"]


def test_nothing_left_to_train_on_is_an_error() -> None:
    faces = make_faces(7, 0)
    faces.pixels[:] = 0

    with pytest.raises(DataError, match="the split Training is empty"):
        training_faces(faces)
