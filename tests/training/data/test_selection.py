from __future__ import annotations

import pytest

from ferstream.errors import DataError
from ferstream.training.data.dataset import FaceSet
from ferstream.training.data.selection import check_batch, first_rows, select
from tests.support.face_sets import make_faces


@pytest.fixture
def faulty() -> FaceSet:
    """14 Training faces, of which 3 are faulty and 1 is also in PublicTest; 7 PublicTest faces."""
    faces = make_faces(14, 7)
    faces.pixels[1] = 128  # blank
    faces.pixels[2, :24], faces.pixels[2, 24:] = 0, 255  # broken
    faces.pixels[4] = faces.pixels[3]  # repeated
    faces.pixels[20] = faces.pixels[5]  # leaked, and seen
    return faces


def test_faulty_faces_do_not_train_and_seen_faces_do_not_validate(faulty: FaceSet) -> None:
    selection = select(faulty)

    assert selection.training.rows.tolist() == [2, 5, 8, 9, 10, 11, 12, 13, 14, 15]
    assert selection.validation.rows.tolist() == [16, 17, 18, 19, 20, 21]


def test_faulty_faces_train_on_request_but_leaked_ones_never(faulty: FaceSet) -> None:
    selection = select(faulty, keep_faulty=True)

    assert len(selection.training) == 13
    assert 7 not in selection.training.rows


def test_a_set_without_usable_training_faces_is_an_error() -> None:
    faces = make_faces(7, 7)
    faces.pixels[:7] = 0

    with pytest.raises(DataError, match="the split Training is empty"):
        select(faces)


def test_first_rows_keeps_the_first_of_each_split() -> None:
    some = first_rows(make_faces(20, 10), 4)

    assert some.usages.tolist() == ["Training"] * 4 + ["PublicTest"] * 4
    assert some.rows.tolist() == [2, 3, 4, 5, 22, 23, 24, 25]


def test_a_batch_must_be_filled() -> None:
    check_batch(make_faces(8, 0), 8)

    with pytest.raises(DataError, match="drawn faces: 8 training faces are fewer than one batch of 9; give a smaller --batch"):
        check_batch(make_faces(8, 0), 9)
