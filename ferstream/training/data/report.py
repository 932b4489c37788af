"""Report on a set of faces: counts and faults as JSON, a bar chart, and a sheet of samples."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ferstream.domain.emotion import LABELS
from ferstream.training import figures
from ferstream.training.data.dataset import USAGES, FaceSet
from ferstream.training.data.quality import Quality
from ferstream.training.data.targets import NO_MAJORITY, majority

SAMPLES_PER_CLASS = 10
_MAX_NAMED = 20
"""Most faulty rows, and most unreadable files, that a report lists."""


def counts_by_class(faces: FaceSet) -> dict[str, npt.NDArray[np.int64]]:
    """Return the number of faces a class, (7,) int64, for each split that has faces."""
    return {
        usage: np.bincount(faces.labels[faces.usages == usage], minlength=len(LABELS)).astype(np.int64)
        for usage in USAGES
        if (faces.usages == usage).any()
    }


def data_report(faces: FaceSet, quality: Quality) -> dict[str, Any]:
    """Return counts and faults as plain values for JSON; ``quality`` is ``inspect(faces)``."""
    report: dict[str, Any] = {
        "source": faces.source,
        "rows": len(faces),
        "classes": {usage: dict(zip(LABELS, map(int, counts), strict=True)) for usage, counts in counts_by_class(faces).items()},
        "faults": quality.counts(),
        "faulty_rows": {
            fault: faces.rows[getattr(quality, fault)][:_MAX_NAMED].tolist()
            for fault in ("blank", "broken")
            if getattr(quality, fault).any()
        },
        "unreadable_files": list(faces.unreadable[:_MAX_NAMED]),
        "left_out_of_training": int((~quality.kept() & (faces.usages == "Training")).sum()),
    }
    if faces.votes is not None:
        report["rows_with_majority"] = int((majority(faces.votes) != NO_MAJORITY).sum())
    return report


def write_pictures(faces: FaceSet, folder: Path) -> Iterator[Path]:
    """Write ``classes.png`` and ``samples.png``; yield each path once it is written."""
    chart = folder / "classes.png"
    draw_class_counts(counts_by_class(faces), chart)
    yield chart
    sheet = folder / "samples.png"
    chosen = _samples(faces)
    captions = [f"{LABELS[label]} {row}" for label, row in zip(faces.labels[chosen], faces.rows[chosen], strict=True)]
    title = f"{faces.source}: faces by class, with their line or file number"
    figures.draw_face_sheet(faces.pixels[chosen], captions, sheet, columns=SAMPLES_PER_CLASS, title=title)
    yield sheet


def draw_class_counts(counts: dict[str, npt.NDArray[np.int64]], path: Path) -> None:
    """Draw the faces by class and split as bars; ``counts`` has (7,) int64 for each split."""
    figure, axes = figures.new_figure(1, 1, width=9, height=4.2)
    width = 0.8 / max(1, len(counts))
    for index, (usage, values) in enumerate(counts.items()):
        offset = (index - (len(counts) - 1) / 2) * width
        bars = axes.bar(np.arange(len(LABELS)) + offset, values, width=width, label=f"{usage} ({values.sum()})")
        axes.bar_label(bars, fontsize=7, padding=1)
    axes.set_xticks(range(len(LABELS)), LABELS)
    axes.set_ylabel("faces")
    axes.legend(frameon=False, fontsize=9)
    axes.grid(axis="y", alpha=0.25)
    axes.set_axisbelow(True)
    figures.save_figure(figure, path)


def _samples(faces: FaceSet) -> npt.NDArray[np.int64]:
    """Return the indices of up to ten faces a class; the same on every call."""
    random = np.random.default_rng(0)
    picked = []
    for label in range(len(LABELS)):
        of_class = np.flatnonzero(faces.labels == label)
        picked.append(random.permutation(of_class)[:SAMPLES_PER_CLASS])
    return np.concatenate(picked)
