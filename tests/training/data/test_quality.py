from __future__ import annotations

from dataclasses import replace

import numpy as np

from ferstream.training.data.dataset import VOTE_NAMES
from ferstream.training.data.quality import inspect
from tests.support.face_sets import make_faces


def test_good_faces_have_no_faults() -> None:
    assert set(inspect(make_faces()).counts().values()) == {0}


def test_each_fault_is_found_where_it_is() -> None:
    faces = make_faces(14, 7)
    faces.pixels[1] = 128  # blank
    faces.pixels[2, :24], faces.pixels[2, 24:] = 0, 255  # two grey values
    faces.pixels[4] = faces.pixels[3]  # repeated
    faces.pixels[20] = faces.pixels[5]  # in both splits
    quality = inspect(faces)

    assert np.flatnonzero(quality.blank).tolist() == [1]
    assert np.flatnonzero(quality.broken).tolist() == [1, 2]
    assert np.flatnonzero(quality.repeated).tolist() == [4]
    assert np.flatnonzero(quality.leaked).tolist() == [5]
    assert np.flatnonzero(quality.seen).tolist() == [20]
    assert np.flatnonzero(~quality.kept()).tolist() == [1, 2, 4, 5]
    assert np.flatnonzero(~quality.kept(keep_faulty=True)).tolist() == [5]


def test_a_picture_in_which_voters_saw_no_face_is_broken() -> None:
    faces = make_faces(7, 0)
    votes = np.zeros((7, len(VOTE_NAMES)), np.int64)
    votes[3, VOTE_NAMES.index("NF")] = 6
    votes[3, 0] = 4

    assert np.flatnonzero(inspect(replace(faces, votes=votes)).broken).tolist() == [3]
