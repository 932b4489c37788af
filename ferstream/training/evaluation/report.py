"""What is in a set of faces: counts, faults, a bar chart and a sample sheet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ferstream.domain.emotion import LABELS
from ferstream.training.data.dataset import USAGES, FaceSet
from ferstream.training.data.targets import NO_MAJORITY, majority
from ferstream.training.evaluation import plots
from ferstream.training.evaluation.quality import Quality, inspect

SAMPLES_A_CLASS = 10
_NAMED = 20
"""Faulty rows and files that a report names."""


def counts_by_class(faces: FaceSet) -> dict[str, npt.NDArray[np.int64]]:
    """Return faces a class, (7,), by split; only splits that have any."""
    return {
        usage: np.bincount(faces.labels[faces.usages == usage], minlength=len(LABELS)).astype(np.int64)
        for usage in USAGES
        if (faces.usages == usage).any()
    }


def training_faces(faces: FaceSet, quality: Quality | None = None, *, keep_faulty: bool = False) -> FaceSet:
    """Return the Training faces without blank, broken, repeated and leaked ones, or (``keep_faulty``) only without leaked ones."""
    quality = quality or inspect(faces)
    return faces.where(quality.kept(keep_faulty=keep_faulty)).of_usage("Training")


def unseen_faces(faces: FaceSet, usage: str, quality: Quality | None = None) -> FaceSet:
    """Return a test split's faces without those whose pixels are also in Training."""
    quality = quality or inspect(faces)
    return faces.where(~quality.seen).of_usage(usage)


def data_report(faces: FaceSet) -> dict[str, Any]:
    """Return counts and faults as plain values for JSON."""
    quality = inspect(faces)
    report: dict[str, Any] = {
        "source": faces.source,
        "rows": len(faces),
        "classes": {usage: dict(zip(LABELS, map(int, counts), strict=True)) for usage, counts in counts_by_class(faces).items()},
        "faults": quality.counts(),
        "faulty_rows": {
            fault: faces.rows[getattr(quality, fault)][:_NAMED].tolist() for fault in ("blank", "broken") if getattr(quality, fault).any()
        },
        "unreadable_files": list(faces.unreadable[:_NAMED]),
        "left_out_of_training": int((~quality.usable & (faces.usages == "Training")).sum()),
    }
    if faces.votes is not None:
        report["rows_with_majority"] = int((majority(faces.votes) != NO_MAJORITY).sum())
    return report


def write_pictures(faces: FaceSet, folder: Path) -> Iterator[Path]:
    """Write the bar chart and the sample sheet; yield their paths."""
    chart = folder / "classes.png"
    plots.class_counts(counts_by_class(faces), chart)
    yield chart
    sheet = folder / "samples.png"
    chosen = _samples(faces)
    captions = [f"{LABELS[label]} {row}" for label, row in zip(faces.labels[chosen], faces.rows[chosen], strict=True)]
    title = f"{faces.source}: faces by class, with their line or file number"
    plots.face_sheet(faces.pixels[chosen], captions, sheet, columns=SAMPLES_A_CLASS, title=title)
    yield sheet


def _samples(faces: FaceSet) -> npt.NDArray[np.int64]:
    """Pick up to ten faces a class, the same ones every time."""
    random = np.random.default_rng(0)
    picked = []
    for label in range(len(LABELS)):
        of_class = np.flatnonzero(faces.labels == label)
        picked.append(random.permutation(of_class)[:SAMPLES_A_CLASS])
    return np.concatenate(picked)
