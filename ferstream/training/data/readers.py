"""Readers of labelled faces: Kaggle's ``fer2013.csv``, FER+'s votes, folders of images."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ferstream.domain.emotion import LABELS
from ferstream.domain.face import FACE_SIZE_PX
from ferstream.errors import DataError
from ferstream.runtime.input_file import refuse_pipe
from ferstream.training.data.dataset import USAGES, VOTE_NAMES, FaceSet
from ferstream.training.data.folders import read_folder, read_photos

PIXELS_PER_FACE = FACE_SIZE_PX * FACE_SIZE_PX
CSV_NAME = "fer2013.csv"
VOTES_NAME = "fer2013new.csv"
CSV_COLUMNS = ("emotion", "pixels", "Usage")


def read_faces(path: Path, *, votes: Path | None = None, want_votes: bool = False, align: bool = False) -> FaceSet:
    """Read a FER2013 csv or a folder of images, and join FER+'s votes to a csv.

    Args:
        path: The csv, a folder that holds ``fer2013.csv``, or a folder of images.
        votes: FER+'s ``fer2013new.csv``.
        want_votes: Use the ``fer2013new.csv`` beside the csv, if there is one, when ``votes`` is None.
        align: Whether a folder holds whole photos, in which the faces are found and aligned.

    Raises:
        DataError: A file, column, row or folder does not follow the layout. The message names file and row.
    """
    if path.is_dir() and (path / CSV_NAME).is_file():
        path = path / CSV_NAME
    if path.is_dir():
        if votes is not None:
            raise DataError(f"{votes}: votes can be joined to a csv only; {path} is a folder of images")
        return read_photos(path) if align else read_folder(path)
    if align:
        raise DataError(f"{path}: --align is for folders of whole photos; the faces of a csv are crops already")
    for given in (path, votes):
        if given is not None and not given.exists():
            raise DataError(f"{given}: no such file or folder; check the path")
    faces = read_csv(path)
    if votes is None and want_votes and path.with_name(VOTES_NAME).is_file():
        votes = path.with_name(VOTES_NAME)
    return faces if votes is None else join_votes(faces, votes)


def read_csv(path: Path) -> FaceSet:
    """Read Kaggle's ``fer2013.csv``: columns emotion (0..6), pixels (2304 grey values), Usage.

    Raises:
        DataError: A column is missing or a row is wrong. The message names file and line.
    """
    labels: list[int] = []
    usages: list[str] = []
    faces: list[NDArray[np.uint8]] = []
    lines: list[int] = []
    for line, (emotion, pixels, usage) in _rows(path, CSV_COLUMNS):
        where = f"{path}, line {line}"
        labels.append(_label(emotion, where))
        usages.append(_usage(usage, where))
        faces.append(_pixels(pixels, where))
        lines.append(line)
    if not faces:
        raise DataError(f"{path}: there are no rows under the header")
    return FaceSet(
        pixels=np.stack(faces),
        labels=np.array(labels, np.int64),
        usages=np.array(usages, np.str_),
        rows=np.array(lines, np.int64),
        votes=None,
        source=str(path),
    )


def join_votes(faces: FaceSet, path: Path) -> FaceSet:
    """Add FER+'s votes to the faces of a csv. Row n of one file belongs to row n of the other.

    Where the csv has only some splits, the rows of these splits are taken from the votes.

    Raises:
        DataError: The files have different rows, or a row of the votes is wrong.
    """
    votes, usages = read_votes(path)
    if len(votes) != len(faces):
        ours = np.isin(usages, np.unique(faces.usages))
        votes, usages = votes[ours], usages[ours]
    if len(votes) != len(faces):
        raise DataError(f"{path}: {len(votes)} rows of votes for the {len(faces)} rows of {faces.source}; they are joined row for row")
    other = np.flatnonzero((usages != faces.usages) & (usages != ""))
    if len(other):
        row = int(other[0])
        raise DataError(
            f"{path}: its row {row + 1} is of {usages[row]}, but {faces.source}, line {faces.rows[row]} of {faces.usages[row]}; "
            "they are joined row for row"
        )
    return replace(faces, votes=votes)


def read_votes(path: Path) -> tuple[NDArray[np.int64], NDArray[np.str_]]:
    """Read FER+'s ``fer2013new.csv``: vote counts (N, 10) in ``VOTE_NAMES`` order, and the splits (N,).

    Raises:
        DataError: A column is missing or a vote is not a number. The message names file and line.
    """
    counts: list[list[int]] = []
    usages: list[str] = []
    for line, (usage, *cells) in _rows(path, ("Usage", *VOTE_NAMES)):
        if not all(cell.isdecimal() for cell in cells):
            raise DataError(f"{path}, line {line}: votes must be whole numbers, got {','.join(cells)}")
        counts.append([int(cell) for cell in cells])
        usages.append(usage)
    return np.array(counts, np.int64).reshape(-1, len(VOTE_NAMES)), np.array(usages, np.str_)


def _rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield the line number and the named cells of each row."""
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    try:
        refuse_pipe(path)
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            header = [name.strip() for name in next(reader, [])]
            missing = [name for name in columns if name not in header]
            if missing:
                raise DataError(f"{path}, line 1: the column {missing[0]!r} is missing; found {', '.join(header)}")
            at = [header.index(name) for name in columns]
            for row in reader:
                if not row:
                    continue
                if len(row) < len(header):
                    raise DataError(f"{path}, line {reader.line_num}: {len(row)} cells, expected {len(header)}")
                yield reader.line_num, [row[index].strip() for index in at]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as csv: {error}") from error


def _label(text: str, where: str) -> int:
    if not text.isdecimal() or int(text) >= len(LABELS):
        raise DataError(f"{where}: emotion must be 0..{len(LABELS) - 1}, got {text!r}")
    return int(text)


def _usage(text: str, where: str) -> str:
    if text not in USAGES:
        raise DataError(f"{where}: Usage must be one of {', '.join(USAGES)}, got {text!r}")
    return text


def _pixels(text: str, where: str) -> NDArray[np.uint8]:
    # np.fromstring is 5 times faster than int() per value, but stops silently at wrong text: check the text first.
    if not text.replace(" ", "").isdecimal() or not text.isascii():
        raise DataError(f"{where}: pixels must be whole numbers 0..255 separated by spaces")
    values = np.fromstring(text, np.int64, sep=" ")
    if len(values) != PIXELS_PER_FACE:
        raise DataError(f"{where}: a face has {PIXELS_PER_FACE} pixels, got {len(values)}")
    if values.max() > 255:
        raise DataError(f"{where}: pixels must be 0..255, got {values.max()}")
    return values.astype(np.uint8).reshape(FACE_SIZE_PX, FACE_SIZE_PX)
