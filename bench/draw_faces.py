"""Draw what ferstream sees: boxes, points, track ids and expressions on frames of a clip, as one picture.

    python bench/draw_faces.py VIDEO [VIDEO...] --out SHEET.png [--frames 6] [--fps 0]

The clip goes through the pipeline's own parts in one thread. With ``--counts`` only the table of
counts is printed. The sheet shows the frames with the most faces of each equal part of the clip,
so a clip whose faces come late is not shown empty.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ferstream.app.replay import camera_name
from ferstream.capture.options import FrameOptions
from ferstream.capture.recording import FileSource
from ferstream.domain.emotion import UNKNOWN
from ferstream.domain.event import FaceEvent
from ferstream.domain.frame import Frame, FrameInfo
from ferstream.domain.track import TrackState
from ferstream.labelling.smoothing import SmoothingLabeller
from ferstream.pipeline.models import DetectionPlan, InferencePlan, Models
from ferstream.runtime.counters import Counters
from ferstream.tracking.bytetrack import ByteTracker

CELL_WIDTH_PX = 640
COLUMNS = 3
SMALL_FACE_PX = 30
GREEN, ORANGE = (80, 220, 80), (60, 150, 255)
POINTS = ((60, 60, 255), (255, 120, 60), (80, 220, 80), (255, 60, 255), (255, 220, 60))
Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Look:
    """A part of one frame and what was said of it.

    Attributes:
        picture: (h, w, 3) BGR: the whole small picture, or in grey the part of the full-size plane that shows small faces.
        area: Left, top, width, height of that part in source pixels.
        info: Identity and times of the frame.
        faces: The observations.
    """

    picture: Picture
    area: tuple[int, int, int, int]
    info: FrameInfo
    faces: tuple[FaceEvent, ...]


def looks(video: Path, models: Models, fps: float) -> Iterator[Look]:
    """Send a clip through the parts of the pipeline."""
    camera = camera_name(video)
    source = FileSource(path=video, camera=camera, observer=Counters(), options=FrameOptions(width=640, analysis_fps=fps))
    source.open()
    look, tracker, labeller = models.finders()[0], ByteTracker(camera=camera, run="0"), SmoothingLabeller()
    for frame in source.frames():
        tracked = tracker.update(look(frame))
        crops = [item.face.crop for item in tracked.faces]
        rows = iter(models.classifier.classify(np.stack(cut)).tolist() if (cut := [crop for crop in crops if crop is not None]) else [])
        labelled = labeller.label(tracked, [None if crop is None else next(rows) for crop in crops])
        yield shown(frame, tuple(event for event in labelled.faces if event.track.state is not TrackState.LEFT))
    source.close()


def shown(frame: Frame, faces: tuple[FaceEvent, ...]) -> Look:
    """The whole frame, or the part around its faces when they are too small to see in a cell."""
    info = frame.info
    if not faces or np.median([event.face.box.w for event in faces]) * CELL_WIDTH_PX / info.width >= SMALL_FACE_PX:
        return Look(frame.detection_image.copy(), (0, 0, info.width, info.height), info, faces)
    boxes = np.array(
        [(face.box.x, face.box.y, face.box.x + face.box.w, face.box.y + face.box.h) for face in (event.face for event in faces)]
    )
    middle = (boxes[:, :2].min(axis=0) + boxes[:, 2:].max(axis=0)) / 2
    wide = min(info.width, max(CELL_WIDTH_PX, round(1.3 * float((boxes[:, 2:].max(axis=0) - boxes[:, :2].min(axis=0))[0]))))
    high = min(info.height, round(wide * 0.5))
    left = int(np.clip(middle[0] - wide / 2, 0, info.width - wide))
    top = int(np.clip(middle[1] - high / 2, 0, info.height - high))
    grey = frame.luma.plane[top : top + high, left : left + wide] >> (frame.luma.bits - 8)
    return Look(np.asarray(cv2.cvtColor(grey.astype(np.uint8), cv2.COLOR_GRAY2BGR), np.uint8), (left, top, wide, high), info, faces)


def drawn(look: Look) -> Picture:
    """The picture at the cell's size with everything drawn on it."""
    scale = CELL_WIDTH_PX / look.area[2]
    picture = np.asarray(cv2.resize(look.picture, (CELL_WIDTH_PX, round(look.area[3] * scale)), interpolation=cv2.INTER_CUBIC), np.uint8)
    for event in sorted(look.faces, key=lambda event: event.face.box.y):
        draw_face(picture, event, scale, look.area)
    text(picture, f"frame {look.info.index}  {look.info.media_time_ns / 1e9:.2f} s", (6, picture.shape[0] - 8), (255, 255, 255))
    return picture


def draw_face(picture: Picture, event: FaceEvent, scale: float, area: tuple[int, int, int, int]) -> None:
    """Box, points, label of the face above, track and its smoothed label below."""

    def at(x: float, y: float) -> tuple[int, int]:
        return round((x - area[0]) * scale), round((y - area[1]) * scale)

    box, emotion = event.face.box, event.emotion
    colour = ORANGE if emotion.verdict.label == UNKNOWN else GREEN
    start, end = at(box.x, box.y), at(box.x + box.w, box.y + box.h)
    cv2.rectangle(picture, start, end, colour, 1, cv2.LINE_AA)
    for point, point_colour in zip(event.face.landmarks, POINTS, strict=True):
        cv2.circle(picture, at(*point), 2, point_colour, -1, cv2.LINE_AA)
    why = f" ({emotion.abstained})" if emotion.abstained else f" {emotion.verdict.confidence:.2f}"
    text(picture, f"{emotion.verdict.label}{why}", (start[0], start[1] - 4), colour)
    text(picture, f"#{event.track.id.rpartition('-')[2]} ~{emotion.smoothed.label}", (start[0], end[1] + 11), colour)


def text(picture: Picture, words: str, at: tuple[int, int], colour: tuple[int, int, int]) -> None:
    """Small text with a dark rim, readable on anything, moved inside the picture."""
    (wide, high), _ = cv2.getTextSize(words, cv2.FONT_HERSHEY_SIMPLEX, 0.38, 1)
    at = (max(2, min(at[0], picture.shape[1] - wide - 2)), max(high + 2, min(at[1], picture.shape[0] - 3)))
    for thickness, shade in ((3, (0, 0, 0)), (1, colour)):
        cv2.putText(picture, words, at, cv2.FONT_HERSHEY_SIMPLEX, 0.38, shade, thickness, cv2.LINE_AA)


def sheet(chosen: list[Look]) -> Picture:
    """All frames in rows; a row is as high as its highest cell."""
    cells = [drawn(look) for look in chosen]
    return np.vstack([row(cells[start : start + COLUMNS]) for start in range(0, len(cells), COLUMNS)])


def row(cells: list[Picture]) -> Picture:
    """One row on black, always COLUMNS wide."""
    canvas = np.zeros((max(cell.shape[0] for cell in cells) + 4, COLUMNS * (CELL_WIDTH_PX + 4), 3), np.uint8)
    for column, cell in enumerate(cells):
        left = column * (CELL_WIDTH_PX + 4) + 2
        canvas[2 : 2 + cell.shape[0], left : left + CELL_WIDTH_PX] = cell
    return canvas


def fullest(seen: list[Look], count: int) -> list[Look]:
    """The frame with the most faces of each of ``count`` equal parts; its middle one when several have as many."""
    parts = [part for part in np.array_split(np.arange(len(seen)), count) if len(part)]
    return [seen[min(part, key=lambda i: (-len(seen[i].faces), abs(i - part.mean())))] for part in parts]


def counts(video: Path, seen: list[Look]) -> str:
    """One line of a Markdown table."""
    events = [event for look in seen for event in look.faces]
    reasons = Counter(str(event.emotion.abstained) for event in events if event.emotion.abstained)
    labels = Counter(event.emotion.verdict.label for event in events)
    tracks = Counter(event.track.id for event in events)
    said = ", ".join(f"{name} {number}" for name, number in labels.most_common())
    why = ", ".join(f"{name} {number}" for name, number in sorted(reasons.items())) or "-"
    longest = max(tracks.values(), default=0)
    return f"| {video.name} | {len(seen)} | {len(events)} | {len(tracks)} | {longest} | {why} | {said} |"


def main() -> None:
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, default=Path("faces.png"))
    parser.add_argument("--frames", type=int, default=6, help="frames of each clip on the sheet")
    parser.add_argument("--fps", type=float, default=0.0, help="frames to analyse per second, 0 for all")
    parser.add_argument("--model", default="emotion-edge")
    parser.add_argument("--counts", action="store_true", help="print the table only")
    given = parser.parse_args()
    models = Models(detection=DetectionPlan(), inference=InferencePlan(model=given.model))
    chosen: list[Look] = []
    print("| clip | frames | faces | tracks | longest | abstained | labels |\n|---|---|---|---|---|---|---|")
    for video in given.videos:
        seen = list(looks(video, models, given.fps))
        print(counts(video, seen), flush=True)
        chosen += fullest(seen, given.frames)
    if chosen and not given.counts:
        cv2.imwrite(str(given.out), sheet(chosen))
        print(f"\n{given.out}: {len(chosen)} frames")
    models.close()


if __name__ == "__main__":
    main()
