"""Smoothed labels against labels made by eye: wrong frames, changes on steady faces, lag behind a change.

    python bench/smoothing.py CLIPS [--clip NAME ...] [--model NAME ...] [--kept FOLDER] [--plot FILE.png] [--json FILE.json] [--sheets FOLDER]

CLIPS is the folder of the clips that ``smoothing_labels.csv`` names. Each is decoded and classified once; with ``--kept`` what
was found stays in that folder for the next run. ``--plot`` tries other settings, and draws wrong frames against changes and
lag. ``--sheets`` draws a contact sheet of each face, from which labels can be made; it contains pictures of people.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from smoothing_data import VIEW_PX, Faces, faces_of
from smoothing_measures import (
    Labelled,
    Scores,
    Smoother,
    by_average,
    by_evidence,
    frame_by_frame,
    measured,
    read_spans,
    spoken,
    with_tracks,
)

from ferstream.labelling.evidence import EvidenceLimits
from ferstream.pipeline.models import DetectionPlan, InferencePlan, Models

OLD = "average of 1.0.0 (0.5 s, 0.05)"
SMOOTHERS: dict[str, Smoother] = {"each frame alone": frame_by_frame, OLD: by_average(0.5, 0.05), "evidence": by_evidence(EvidenceLimits())}
SHEET_COLUMNS, SHEET_STEP_S = 12, 0.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--clip", action="append", help="one of the clips; may be given several times; default: all")
    parser.add_argument("--model", action="append", help="a bundle; may be given several times")
    parser.add_argument("--kept", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--sheets", type=Path)
    options = parser.parse_args()
    labels = [span for span in read_spans() if not options.clip or span.clip in options.clip]
    report: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="ferstream-smoothing-") as temporary:
        for name in options.model or ["emotion-edge"]:
            folder = (options.kept or Path(temporary)) / name.replace("/", "_")
            faces = found(options.clips, sorted({span.clip for span in labels}), name, folder)
            spans, shaken = with_tracks(labels, faces), with_tracks(labels, faces, jittered=True)
            report[name] = {title: row(smoother, spans, shaken) for title, smoother in SMOOTHERS.items()}
            print(f"\n{name}\n")
            print("\n".join(table(report[name])))
            if options.sheets:
                draw_sheets(faces, options.sheets)
            if options.plot:
                draw_trade(spans, shaken, options.plot)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


def found(folder: Path, clips: Sequence[str], model: str, kept: Path) -> dict[str, Faces]:
    """The faces of clips, by their names."""
    models = Models(detection=DetectionPlan(), inference=InferencePlan(model=model))
    try:
        return {clip: faces_of(folder / clip, models, kept) for clip in clips}
    finally:
        models.close()


def row(smoother: Smoother, spans: Sequence[Labelled], shaken: Sequence[Labelled]) -> dict[str, Any]:
    """All numbers of one smoother."""
    plain, jittered = measured(smoother, spans), measured(smoother, shaken)
    times, probabilities = spoken()
    labels = smoother(times, probabilities)
    return {
        "frames": plain.frames,
        "wrong": plain.wrong,
        "stability": round(plain.stability, 2),
        "changes_in_10_s": round(plain.changes_in_10_s, 1),
        "lag_s": [round(lag, 2) for lag in plain.lags_s],
        "joined_lag_s": {
            "median": quantile(plain, 0.5),
            "p90": quantile(plain, 0.9),
            "max": quantile(plain, 1.0),
            "changes": len(plain.joined_s),
        },
        "jittered": {
            "wrong": jittered.wrong,
            "stability": round(jittered.stability, 2),
            "changes_in_10_s": round(jittered.changes_in_10_s, 1),
        },
        "spoken_changes_in_10_s": round(10 * sum(a != b for a, b in pairwise(labels)) / (float(times[-1]) / 1e9), 1),
    }


def quantile(scores: Scores, share: float) -> float:
    """A quantile of the lags behind joined changes, in seconds."""
    return round(float(np.quantile(scores.joined_s, share, method="higher")), 2)


def table(rows: dict[str, dict[str, Any]]) -> Iterator[str]:
    """The report as Markdown."""
    yield (
        "| label | wrong frames | changes per 100 frames (stability) | changes in 10 s | lag of the two changes | lag of joined changes: median, 90 %, max | "
        "jittered: wrong, per 100 frames, in 10 s | speaking, in 10 s |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for title, of in rows.items():
        lags, joined, jittered = of["lag_s"], of["joined_lag_s"], of["jittered"]
        yield (
            f"| {title} | {of['wrong']} of {of['frames']} | {of['stability']:.2f} | {of['changes_in_10_s']} | {', '.join(f'{lag:.2f} s' for lag in lags)} | "
            f"{joined['median']:.2f}, {joined['p90']:.2f}, {joined['max']:.2f} s | {jittered['wrong']}, {jittered['stability']:.2f}, "
            f"{jittered['changes_in_10_s']} | {of['spoken_changes_in_10_s']} |"
        )


def draw_trade(spans: Sequence[Labelled], shaken: Sequence[Labelled], file: Path) -> None:
    """Wrong frames, with and without jitter, against changes while speaking and against lag, for many settings."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    series: dict[str, list[tuple[str, Smoother]]] = {
        "average, margin 0.05": [(f"{s:g}", by_average(s, 0.05)) for s in (0.1, 0.2, 0.3, 0.5)],
        "average, margin 0.2": [(f"{s:g}", by_average(s, 0.2)) for s in (0.1, 0.2, 0.3, 0.5)],
        "evidence without unrest": [
            (f"{s:g}", by_evidence(EvidenceLimits(smoothing_s=s, unrest_weight=0))) for s in (0.1, 0.15, 0.2, 0.3, 0.4)
        ],
        "evidence": [(f"{s:g}", by_evidence(EvidenceLimits(smoothing_s=s))) for s in (0.1, 0.15, 0.2, 0.25, 0.3, 0.4)],
    }
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4.2), sharey=True, layout="constrained")
    for title, tries in series.items():
        rows = [row(smoother, spans, shaken) for _, smoother in tries]
        wrong = [of["wrong"] + of["jittered"]["wrong"] for of in rows]
        for axes, values in (
            (left, [of["spoken_changes_in_10_s"] for of in rows]),
            (right, [of["joined_lag_s"]["p90"] for of in rows]),
        ):
            axes.plot(values, wrong, marker="o", label=title)
            for (text, _), x, y in zip(tries, values, wrong, strict=True):
                axes.annotate(text, (x, y), textcoords="offset points", xytext=(4, 4), fontsize=7)
    left.set(xlabel="changes in 10 s of made-up speech", ylabel="wrong frames, without and with jitter")
    right.set(xlabel="lag behind a joined change, 90 %, in seconds")
    right.axvline(0.25, color="grey", linewidth=0.8, linestyle="--")
    right.legend(fontsize=8)
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.savefig(file, dpi=110)


def draw_sheets(faces: dict[str, Faces], folder: Path) -> None:
    """One sheet a track: its face every SHEET_STEP_S seconds, with the media time, without any label."""
    folder.mkdir(parents=True, exist_ok=True)
    for clip, of in faces.items():
        for track in sorted(set(of.track.tolist())):
            cells, next_ns = [], 0
            for position in np.flatnonzero(of.track == track):
                at_ns = int(of.media_time_ns[position])
                if at_ns >= next_ns:
                    cell = cv2.copyMakeBorder(of.view[position], 14, 0, 1, 1, cv2.BORDER_CONSTANT, value=(0,))
                    cv2.putText(cell, f"{at_ns / 1e9:.2f}", (2, 11), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (255,), 1, cv2.LINE_AA)
                    cells.append(cell)
                    next_ns = at_ns + round(SHEET_STEP_S * 1e9)
            cells += [np.zeros((VIEW_PX + 14, VIEW_PX + 2), np.uint8)] * (-len(cells) % SHEET_COLUMNS)
            rows = [np.hstack(cells[start : start + SHEET_COLUMNS]) for start in range(0, len(cells), SHEET_COLUMNS)]
            cv2.imwrite(str(folder / f"{Path(clip).stem}-{track}.png"), np.vstack(rows))


if __name__ == "__main__":
    main()
