"""Draws what ferstream says of clips, without their pictures: faces as boxes and points, labels over time.

    ferstream replay clip.mp4 --events clip.jsonl
    python docs/scripts/clip_sheet.py docs/images/clips.png clip.jsonl [other.jsonl ...]

A row per clip: four moments of its longest tracks, and the smoothed label of the longest one over time. The clips are
not ours to hand on, so their pixels stay out; `bench/draw_faces.py` draws the same on the frames themselves.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.patches import Patch

LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral", "unknown")
COLOURS = dict(zip(LABELS, ("#b2182b", "#7b6d1d", "#6a51a3", "#e08214", "#2166ac", "#1b9e77", "#777777", "#d0d0d0"), strict=True))
MOMENTS = 4
Events = list[dict[str, Any]]


def main() -> None:
    out, files = Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]]
    figure, axes = plt.subplots(
        len(files), MOMENTS + 1, figsize=(14, 1.75 * len(files)), width_ratios=(*[1] * MOMENTS, 2.4), layout="constrained", squeeze=False
    )
    for row, file in zip(axes, files, strict=True):
        events = [json.loads(line) for line in file.read_text().splitlines()]
        seen = [event for event in events if event["track"]["state"] != "left"]
        draw_clip(row, file.stem, seen)
    keys = [Patch(color=COLOURS[label], label=label) for label in LABELS]
    figure.legend(handles=keys, loc="outside lower center", ncols=len(LABELS), fontsize=7, frameon=False, handlelength=1.2)
    figure.savefig(out, dpi=100)


def draw_clip(row: Any, name: str, events: Events) -> None:
    longest = Counter(event["track"]["id"] for event in events).most_common(1)[0][0]
    track = [event for event in events if event["track"]["id"] == longest]
    for axis, at in zip(row[:MOMENTS], np.linspace(0.06, 0.94, MOMENTS), strict=True):
        index = track[int(at * (len(track) - 1))]["frame"]["index"]
        draw_moment(axis, [event for event in events if event["frame"]["index"] == index])
    row[0].set_title(name, loc="left", fontsize=9)
    draw_time(row[MOMENTS], track)


def draw_moment(axis: Any, events: Events) -> None:
    frame = events[0]["frame"]
    axis.set_xlim(0, frame["width"])
    axis.set_ylim(frame["height"], 0)
    axis.set_aspect("equal")
    axis.set_xticks([])
    axis.set_yticks([])
    axis.set_facecolor("#f7f7f7")
    axis.set_xlabel(f"{frame['media_time_s']:.1f} s", fontsize=7, labelpad=1)
    for event in events:
        x, y, width, height = event["face"]["box"]
        label = event["emotion"]["smoothed"]["label"]
        axis.add_patch(plt.Rectangle((x, y), width, height, fill=False, edgecolor=COLOURS[label], linewidth=1.4))
        axis.scatter(*zip(*event["face"]["landmarks"], strict=True), s=3, color=COLOURS[label])
        inside = y < 0.1 * frame["height"]  # no room above the box
        place = max(y, 0.0) + 0.015 * frame["height"] if inside else y - 0.01 * frame["height"]
        axis.text(x, place, f" {label}" if inside else label, fontsize=6, va="top" if inside else "bottom", clip_on=True)


def draw_time(axis: Any, track: Events) -> None:
    seconds = np.array([event["frame"]["media_time_s"] for event in track])
    none = dict.fromkeys(LABELS[:7], 0.0)
    rows = np.array([[(event["emotion"]["probabilities"] or none)[label] for label in LABELS[:7]] for event in track])
    kernel = min(9, len(track))
    smooth = np.apply_along_axis(lambda column: np.convolve(column, np.ones(kernel) / kernel, mode="same"), 0, rows)
    shares = smooth / np.maximum(smooth.sum(axis=1, keepdims=True), 1e-6)
    axis.stackplot(seconds, shares.T, colors=[COLOURS[label] for label in LABELS[:7]])
    axis.set_xlim(seconds[0], seconds[-1])
    axis.set_ylim(0, 1)
    axis.tick_params(labelsize=6)
    changes = [event for before, event in zip([None, *track], track, strict=False) if before is None or label_of(before) != label_of(event)]
    for event in changes:
        axis.axvline(event["frame"]["media_time_s"], color="white", linewidth=1)
        axis.text(event["frame"]["media_time_s"], 1.02, " " + label_of(event), fontsize=6, rotation=25)


def label_of(event: dict[str, Any]) -> str:
    return str(event["emotion"]["smoothed"]["label"])


if __name__ == "__main__":
    main()
