"""Sets of drawn faces with labels and votes, and the csv files that hold them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from ferstream.domain.emotion import LABELS
from ferstream.training.data.dataset import USAGES, VOTE_NAMES, FaceSet
from tests.support.faces import draw_faces

VOTE_COLUMN = {"angry": 4, "disgust": 5, "fear": 6, "happy": 1, "sad": 3, "surprise": 2, "neutral": 0}


def write_csv(folder: Path, faces: FaceSet) -> Path:
    """Write Kaggle's layout, and FER+'s beside it when there are votes."""
    path = folder / "fer2013.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["emotion", "pixels", "Usage"])
        for face, label, usage in zip(faces.pixels, faces.labels, faces.usages, strict=True):
            rows.writerow([label, " ".join(map(str, face.ravel())), usage])
    if faces.votes is not None:
        write_votes(folder / "fer2013new.csv", faces.usages.tolist(), faces.votes.tolist())
    return path


def write_votes(path: Path, usages: list[str], votes: list[list[int]]) -> Path:
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["Usage", "Image name", *VOTE_NAMES])
        for number, (usage, counts) in enumerate(zip(usages, votes, strict=True)):
            rows.writerow([usage, f"fer{number:07d}.png", *counts])
    return path


def make_faces(training: int = 70, testing: int = 28, *, votes: bool = True, seed: int = 0) -> FaceSet:
    """Faces that are drawn, with a class a network can learn, and votes that agree with it."""
    count = training + testing
    labels = np.arange(count) % len(LABELS)
    counts = np.zeros((count, len(VOTE_NAMES)), np.int64)
    counts[np.arange(count), [VOTE_COLUMN[LABELS[label]] for label in labels]] = 8
    counts[:, 8] = 2
    return FaceSet(
        pixels=draw_faces(labels, seed=seed),
        labels=labels.astype(np.int64),
        usages=np.array([USAGES[0]] * training + [USAGES[1]] * testing),
        rows=np.arange(2, count + 2, dtype=np.int64),
        votes=counts if votes else None,
        source="drawn faces",
    )
