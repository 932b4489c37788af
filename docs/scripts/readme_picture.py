"""Draws the picture of the README: frames of the built-in clip with what ferstream says of them.

python docs/scripts/readme_picture.py docs/images/demo.png
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np

from ferstream.capture.demo import DemoSource
from ferstream.domain.emotion import LABELS
from ferstream.domain.event import FaceEvent
from ferstream.domain.frame import Frame
from ferstream.domain.track import TrackState
from ferstream.labelling.smoothing import SmoothingLabeller
from ferstream.pipeline.models import DetectionPlan, InferencePlan, Models
from ferstream.runtime.counters import Counters
from ferstream.tracking.bytetrack import ByteTracker

mpl.use("Agg")
import matplotlib.pyplot as plt

FRAMES = (60, 180, 330)


class AtOnce:
    """A clock that does not make the clip wait: each look is 40 ms later."""

    def __init__(self) -> None:
        self._now_ns = 0

    def monotonic_ns(self) -> int:
        self._now_ns += 40_000_000
        return self._now_ns

    def utc_ns(self) -> int:
        return self._now_ns


def main() -> None:
    out = Path(sys.argv[1])
    models = Models(detection=DetectionPlan(), inference=InferencePlan())
    finder, classify = models.finders()[0], models.classification(max_batch=8, observer=Counters())
    tracker, labeller = ByteTracker(camera="demo", run="1f3c"), SmoothingLabeller()
    figure, axes = plt.subplots(2, len(FRAMES), figsize=(12, 3.9), height_ratios=(2.6, 1), layout="constrained")
    column = 0
    for frame in DemoSource(camera="demo", observer=Counters(), clock=AtOnce()).frames():
        tracked = tracker.update(finder(frame))
        crops = [face.face.crop for face in tracked.faces]
        rows = classify(np.stack([crop for crop in crops if crop is not None])).tolist() if any(c is not None for c in crops) else []
        given = iter(rows)
        labelled = labeller.label(tracked, [None if crop is None else next(given) for crop in crops])
        if frame.info.index == FRAMES[column]:
            seen = [event for event in labelled.faces if event.track.state is not TrackState.LEFT]
            draw(axes[0, column], axes[1, column], frame, seen)
            column += 1
            if column == len(FRAMES):
                break
    figure.savefig(out, dpi=110)


def number(event: FaceEvent) -> int:
    return int(event.track.id.rpartition("-")[2])


def draw(picture: plt.Axes, bars: plt.Axes, frame: Frame, events: list[FaceEvent]) -> None:
    height, width = frame.detection_image.shape[:2]
    scale_x, scale_y = width / frame.info.width, height / frame.info.height
    picture.imshow(cv2.cvtColor(frame.detection_image, cv2.COLOR_BGR2RGB))
    picture.set_axis_off()
    colours = ("#1b9e77", "#d95f02", "#7570b3")
    for event in events:
        colour = colours[number(event) % len(colours)]
        box = event.face.box
        corner, size = (box.x * scale_x, box.y * scale_y), (box.w * scale_x, box.h * scale_y)
        picture.add_patch(plt.Rectangle(corner, *size, fill=False, edgecolor=colour, linewidth=2))
        picture.scatter(*zip(*[(x * scale_x, y * scale_y) for x, y in event.face.landmarks], strict=True), s=9, color=colour)
        text = f"{event.emotion.smoothed.label} {event.emotion.smoothed.confidence:.2f}"
        middle = (box.x + box.w / 2) * scale_x
        pad = {"facecolor": colour, "edgecolor": "none", "pad": 2.0}
        picture.text(middle, box.y * scale_y - 8, text, color="white", fontsize=9, ha="center", bbox=pad)
    picture.set_title(f"{frame.info.media_time_ns / 1e9:.1f} s", fontsize=9, loc="left")
    for offset, event in enumerate(events):
        colour = colours[number(event) % len(colours)]
        if event.emotion.probabilities is not None:
            bars.bar(np.arange(len(LABELS)) + 0.4 * offset, event.emotion.probabilities, 0.38, color=colour)
    bars.set_xticks(np.arange(len(LABELS)) + 0.2 * max(0, len(events) - 1), LABELS, fontsize=7.5)
    bars.set_ylim(0, 1)
    bars.tick_params(axis="y", labelsize=7)
    bars.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    main()
