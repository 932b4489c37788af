"""Readers for the layouts people have: Kaggle's csv, FER+'s votes, folders of images."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ferstream.domain.emotion import LABELS
from ferstream.errors import DataError
from ferstream.training.dataset import FACE_SIZE_PX, USAGES, VOTE_NAMES, FaceSet

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

PIXELS_PER_FACE = FACE_SIZE_PX * FACE_SIZE_PX
CSV_COLUMNS = ("emotion", "pixels", "Usage")


def read_faces(path: Path, *, votes: Path | None = None) -> FaceSet:
    """Read a FER2013 csv or a folder of images, and join FER+'s votes where given.

    Raises:
        DataError: a file, column, row or folder is not as the layout says; names file and row.
    """
    if path.is_dir():
        from ferstream.training.folders import read_folder

        if votes is not None:
            raise DataError(f"{votes}: votes join a csv row for row; {path} is a folder")
        return read_folder(path)
    return read_csv(path, votes=read_votes(votes) if votes is not None else None)


def read_csv(path: Path, *, votes: NDArray[np.int64] | None = None) -> FaceSet:
    """Read Kaggle's ``fer2013.csv``: columns emotion (0..6), pixels (2304 greys), Usage.

    Args:
        path: the csv file.
        votes: (N, 10) FER+ votes, one row a csv row, or None.

    Raises:
        DataError: a column is missing or a row is wrong; names the file and the line.
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
    if votes is not None and len(votes) != len(faces):
        raise DataError(f"{path}: {len(faces)} rows, but the votes file has {len(votes)}; they are joined row for row")
    return FaceSet(
        pixels=np.stack(faces),
        labels=np.array(labels, np.int64),
        usages=np.array(usages, np.str_),
        rows=np.array(lines, np.int64),
        votes=votes,
        source=str(path),
    )


def read_votes(path: Path) -> NDArray[np.int64]:
    """Read FER+'s ``fer2013new.csv`` as (N, 10) vote counts in ``VOTE_NAMES`` order.

    Raises:
        DataError: a column is missing or a vote is no number; names the file and the line.
    """
    counts: list[list[int]] = []
    for line, cells in _rows(path, VOTE_NAMES):
        try:
            counts.append([int(cell) for cell in cells])
        except ValueError:
            raise DataError(f"{path}, line {line}: votes must be whole numbers, got {','.join(cells)}") from None
    return np.array(counts, np.int64).reshape(-1, len(VOTE_NAMES))


def _rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield the line number and the named cells of each row."""
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    try:
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
    cells = text.split()
    if len(cells) != PIXELS_PER_FACE:
        raise DataError(f"{where}: a face has {PIXELS_PER_FACE} pixels, got {len(cells)}")
    try:
        values = np.array(cells, dtype=np.int64)
    except (ValueError, OverflowError):
        raise DataError(f"{where}: pixels must be whole numbers") from None
    if values.min() < 0 or values.max() > 255:  # noqa: PLR2004 - the range of a byte
        raise DataError(f"{where}: pixels must be 0..255, got {values.min()}..{values.max()}")
    return values.astype(np.uint8).reshape(FACE_SIZE_PX, FACE_SIZE_PX)


def read_image(path: Path) -> NDArray[np.uint8] | None:
    """Read an image of any size as a (48, 48) uint8 grey face; None when it cannot be decoded."""
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if image is None:
        return None
    if image.shape != (FACE_SIZE_PX, FACE_SIZE_PX):
        smaller = min(image.shape) >= FACE_SIZE_PX
        image = cv2.resize(
            image, (FACE_SIZE_PX, FACE_SIZE_PX), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
        )
    return np.asarray(image, np.uint8)
