"""Faces of clips as the pipeline sees them before labels are smoothed, kept in a folder: a clip is decoded and classified once.

Used by ``bench/smoothing.py`` and its test. The clip goes through the pipeline's own parts in one thread. Nothing of
this is for the repository: a cached clip contains pictures of faces.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ferstream.app.replay import camera_name
from ferstream.capture.options import FrameOptions
from ferstream.capture.recording import FileSource
from ferstream.domain.face import FACE_SIZE_PX, Box
from ferstream.domain.frame import Frame
from ferstream.domain.track import TrackedFace
from ferstream.inference.alignment import CANONICAL, similarity
from ferstream.inference.classifier import Classifier
from ferstream.pipeline.models import Models
from ferstream.runtime.counters import Counters
from ferstream.tracking.bytetrack import ByteTracker

VIEW_PX = 96
"""Height and width of the picture of a face for people."""
JITTER_PX = 1.5
"""Standard deviation of the errors that are added to each landmark for ``jittered``, in crop pixels."""
WIDER = 0.2
"""Added to each side of the box for that picture, as a share of the side."""


@dataclass(frozen=True, slots=True)
class Faces:
    """The n faces of a clip in the order of time, as arrays.

    Attributes:
        media_time_ns: (n,) int64.
        frame: (n,) int64, number of the frame.
        track: (n,) int64, number of the track, from 1.
        centre: (n, 2) float64, middle of the box as a share of the picture's width and height.
        abstained: (n,) reason or an empty text.
        classified: (n,) bool, whether there are a crop and probabilities.
        probabilities: (n, 7) float64; zeros where not classified.
        jittered: (n, 7) float64, probabilities of the same crops with errors of JITTER_PX at each landmark.
        view: (n, VIEW_PX, VIEW_PX) uint8, the face and what is around it.
    """

    media_time_ns: npt.NDArray[np.int64]
    frame: npt.NDArray[np.int64]
    track: npt.NDArray[np.int64]
    centre: npt.NDArray[np.float64]
    abstained: npt.NDArray[np.str_]
    classified: npt.NDArray[np.bool_]
    probabilities: npt.NDArray[np.float64]
    jittered: npt.NDArray[np.float64]
    view: npt.NDArray[np.uint8]


def faces_of(clip: Path, models: Models, folder: Path) -> Faces:
    """Return the faces of a clip, from ``folder`` when they were kept there before.

    Args:
        clip: The recording.
        models: Detector and classifier.
        folder: Of this model; one file a clip is kept in it.
    """
    kept = folder / f"{clip.stem}.npz"
    if not kept.exists():
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(kept, **replayed(clip, models))  # type: ignore[arg-type]  # numpy takes its keyword allow_pickle for one of the arrays
    with np.load(kept) as arrays:
        return Faces(**{field.name: arrays[field.name] for field in fields(Faces)})


def replayed(clip: Path, models: Models) -> dict[str, npt.NDArray[np.generic]]:
    """Send a clip through capture, detection, tracking and classification; return the arrays of ``Faces``."""
    camera = camera_name(clip)
    source = FileSource(path=clip, camera=camera, observer=Counters(), options=FrameOptions(width=640, analysis_fps=0.0))
    source.open()
    find, tracker = models.finders()[0], ByteTracker(camera=camera, run="0")
    rows: list[dict[str, object]] = []
    for frame in source.frames():
        rows += [row_of(frame, face) for face in tracker.update(find(frame)).faces]
    source.close()
    arrays = {name: np.array([row[name] for row in rows]) for name in (rows[0] if rows else {})}
    crops = arrays.pop("crop")
    drawn = np.random.default_rng(1)
    shaken = np.stack([with_errors(crop, drawn) for crop in crops])
    known = arrays["classified"][:, None]
    return {
        **arrays,
        "probabilities": np.where(known, classified(crops, models.classifier), 0),
        "jittered": np.where(known, classified(shaken, models.classifier), 0),
    }


def classified(crops: npt.NDArray[np.uint8], classifier: Classifier) -> npt.NDArray[np.float64]:
    """The probabilities of (n, 48, 48) crops, (n, 7)."""
    return np.concatenate([classifier.classify(crops[start : start + 32]) for start in range(0, len(crops), 32)]).astype(np.float64)


def with_errors(crop: npt.NDArray[np.uint8], drawn: np.random.Generator) -> npt.NDArray[np.uint8]:
    """The crop as the alignment would cut it if each landmark had an error of JITTER_PX."""
    wrong = np.asarray(CANONICAL) + drawn.normal(0, JITTER_PX, (5, 2))
    matrix = similarity([(x, y) for x, y in wrong.tolist()], CANONICAL)
    return np.asarray(cv2.warpAffine(crop, matrix, (FACE_SIZE_PX, FACE_SIZE_PX), borderMode=cv2.BORDER_REPLICATE), np.uint8)


def row_of(frame: Frame, tracked: TrackedFace) -> dict[str, object]:
    """One element of the arrays of ``Faces``, without probabilities."""
    face, crop = tracked.face.face, tracked.face.crop
    box = face.box
    return {
        "media_time_ns": frame.info.media_time_ns,
        "frame": frame.info.index,
        "track": int(tracked.track.id.rpartition("-")[2]),
        "centre": ((box.x + box.w / 2) / frame.info.width, (box.y + box.h / 2) / frame.info.height),
        "abstained": str(tracked.face.abstained or ""),
        "classified": crop is not None,
        "crop": np.zeros((FACE_SIZE_PX, FACE_SIZE_PX), np.uint8) if crop is None else crop,
        "view": view_of(frame, box),
    }


def view_of(frame: Frame, box: Box) -> npt.NDArray[np.uint8]:
    """The face with a margin, (VIEW_PX, VIEW_PX) grey."""
    side = (1 + 2 * WIDER) * max(box.w, box.h)
    scale = VIEW_PX / side
    matrix = np.array([[scale, 0, VIEW_PX / 2 - scale * (box.x + box.w / 2)], [0, scale, VIEW_PX / 2 - scale * (box.y + box.h / 2)]])
    plane = (frame.luma.plane >> (frame.luma.bits - 8)).astype(np.uint8)
    return np.asarray(cv2.warpAffine(plane, matrix, (VIEW_PX, VIEW_PX), flags=cv2.INTER_AREA), np.uint8)
