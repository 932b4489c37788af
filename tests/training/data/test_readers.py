from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ferstream.errors import DataError
from ferstream.training.data.dataset import VOTE_NAMES, FaceSet
from ferstream.training.data.readers import join_votes, read_csv, read_faces
from tests.support.face_sets import make_faces, write_csv, write_votes

GOOD = " ".join(["7"] * 2304)


@pytest.fixture
def faces() -> FaceSet:
    return make_faces()


@pytest.fixture
def csv_of(tmp_path: Path) -> Callable[[FaceSet], Path]:
    return lambda faces: write_csv(tmp_path, faces)


def csv_with(path: Path, *rows: str, header: str = "emotion,pixels,Usage") -> Path:
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


@pytest.mark.parametrize("votes", [False, True])
def test_a_path_that_does_not_exist_is_one_line(tmp_path: Path, votes: bool) -> None:
    csv = write_csv(tmp_path, make_faces(1, 1, votes=False))
    missing = tmp_path / "none.csv"
    with pytest.raises(DataError, match=rf"^{missing}: no such file or folder; check the path$"):
        read_faces(csv if votes else missing, votes=missing if votes else None)


def test_a_csv_with_votes_is_read_as_it_was_written(faces: FaceSet, csv_of: Callable[[FaceSet], Path]) -> None:
    path = csv_of(faces)

    read = read_faces(path, want_votes=True)

    np.testing.assert_array_equal(read.pixels, faces.pixels)
    np.testing.assert_array_equal(read.labels, faces.labels)
    np.testing.assert_array_equal(read.usages, faces.usages)
    np.testing.assert_array_equal(read.rows, np.arange(2, len(faces) + 2))
    assert faces.votes is not None
    assert read.votes is not None
    np.testing.assert_array_equal(read.votes, faces.votes)


def test_a_folder_with_a_csv_is_read_as_the_csv(faces: FaceSet, csv_of: Callable[[FaceSet], Path]) -> None:
    assert len(read_faces(csv_of(faces).parent)) == len(faces)


def test_votes_are_read_only_when_asked_for(faces: FaceSet, csv_of: Callable[[FaceSet], Path]) -> None:
    assert read_faces(csv_of(faces)).votes is None


def test_columns_in_another_order_and_a_byte_order_mark_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "fer.csv"
    path.write_text(f"\ufeffUsage,pixels,emotion\nTraining,{GOOD},3\n", encoding="utf-8")

    assert read_csv(path).labels.tolist() == [3]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (f"9,{GOOD},Training", "emotion must be 0..6, got '9'"),
        (f"-1,{GOOD},Training", "emotion must be 0..6, got '-1'"),
        (f"happy,{GOOD},Training", "emotion must be 0..6, got 'happy'"),
        (f"1,{GOOD[2:]},Training", "a face has 2304 pixels, got 2303"),
        (f"1,{GOOD.replace('7', '256', 1)},Training", "pixels must be 0..255, got 256"),
        (f"1,{GOOD.replace('7', '-7', 1)},Training", "pixels must be whole numbers 0..255"),
        (f"1,{GOOD.replace('7', 'x', 1)},Training", "pixels must be whole numbers 0..255"),
        ("1,,Training", "pixels must be whole numbers 0..255"),
        (f"1,{GOOD},Test", "Usage must be one of Training, PublicTest, PrivateTest, got 'Test'"),
        (f"1,{GOOD}", "2 cells, expected 3"),
    ],
)
def test_a_wrong_row_is_named_with_file_and_line(tmp_path: Path, row: str, says: str) -> None:
    path = csv_with(tmp_path / "fer.csv", f"0,{GOOD},Training", row)

    with pytest.raises(DataError) as caught:
        read_csv(path)

    assert f"{path}, line 3: {says}" in str(caught.value)


@pytest.mark.parametrize("column", ["emotion", "pixels", "Usage"])
def test_a_missing_column_is_named(tmp_path: Path, column: str) -> None:
    header = "emotion,pixels,Usage".replace(column, "other")
    path = csv_with(tmp_path / "fer.csv", f"0,{GOOD},Training", header=header)

    with pytest.raises(DataError, match=f"the column '{column}' is missing"):
        read_csv(path)


def test_a_file_without_rows_and_a_missing_file_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no rows"):
        read_csv(csv_with(tmp_path / "fer.csv"))
    with pytest.raises(DataError, match="cannot be read"):
        read_csv(tmp_path / "nowhere.csv")


def test_a_csv_of_one_split_takes_its_rows_from_complete_votes(tmp_path: Path) -> None:
    both = make_faces(7, 14)
    assert both.votes is not None
    write_csv(tmp_path, both)
    only = replace(both.of_usage("PublicTest"), votes=None)

    joined = join_votes(only, tmp_path / "fer2013new.csv")

    assert joined.votes is not None
    np.testing.assert_array_equal(joined.votes, both.votes[7:])


def test_votes_that_do_not_fit_the_csv_are_refused(tmp_path: Path) -> None:
    faces = make_faces(7, 7, votes=False)
    row = [0] * len(VOTE_NAMES)
    few = write_votes(tmp_path / "few.csv", ["Training"] * 3, [row] * 3)
    other = write_votes(tmp_path / "other.csv", ["PublicTest"] * 7 + ["Training"] * 7, [row] * 14)

    with pytest.raises(DataError, match="3 rows of votes for the 14 rows"):
        join_votes(faces, few)
    with pytest.raises(DataError, match="its row 1 is of PublicTest"):
        join_votes(faces, other)


def test_a_vote_that_is_not_a_number_is_named(tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    path.write_text("Usage,Image name," + ",".join(VOTE_NAMES) + "\nTraining,a.png,1,2,x,0,0,0,0,0,0,0\n")

    with pytest.raises(DataError, match="line 2: votes must be whole numbers"):
        join_votes(make_faces(7, 0, votes=False), path)


def test_an_empty_split_is_an_error_that_lists_the_present_splits() -> None:
    with pytest.raises(DataError, match="the split PrivateTest is empty; it has rows of PublicTest, Training"):
        make_faces(7, 7).of_usage("PrivateTest")


def test_the_real_csv_has_the_published_class_counts(shared_dir: Path) -> None:
    labels = (shared_dir / "data" / "fer2013" / "labels.csv").read_text().splitlines()[1:]
    training = [int(line.split(",")[1]) for line in labels if line.split(",")[2] == "0"]

    assert np.bincount(training).tolist() == [3995, 436, 4097, 7215, 4830, 3171, 4965]
