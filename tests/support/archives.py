"""Archives that are analysed, made frame by frame with the finders and the classifier of ``replay``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ferstream.app.factories import detection_plan, inference_plan
from ferstream.app.recording_names import camera_names
from ferstream.archive.chunk_file import ABSTAINED, ChunkResult, FaceTable, FrameTable, encode_result, result_name
from ferstream.archive.plan import PLAN, WHOLE, Plan, PlannedRecording, encode_plan
from ferstream.archive.storage.store import LocalStore
from ferstream.capture.options import FrameOptions
from ferstream.capture.recording import FileSource
from ferstream.domain.face import DetectedFrame
from ferstream.pipeline.models import Models
from ferstream.runtime.counters import Counters
from ferstream.settings import Settings
from ferstream.tracking.continuity import is_cut


@dataclass(frozen=True, slots=True)
class Analysed:
    """All frames of one recording.

    Attributes:
        recording: As the plan has it, with one chunk.
        result: Its frames, as if they were one chunk.
    """

    recording: PlannedRecording
    result: ChunkResult


def analyse(videos: Sequence[Path], settings: Settings, *, fps: float = 0.0) -> list[Analysed]:
    """Find and classify the faces of recordings, one frame after the other."""
    models = Models(detection=detection_plan(settings), inference=inference_plan(settings, deterministic=True))
    try:
        return [
            _analyse(number, path, camera, models, settings, fps)
            for number, (path, camera) in enumerate(zip(videos, camera_names(videos), strict=True))
        ]
    finally:
        models.close()


def _analyse(number: int, path: Path, camera: str, models: Models, settings: Settings, fps: float) -> Analysed:
    find, counters = models.finders()[0], Counters()
    classify = models.classification(max_batch=settings.inference.max_batch, observer=counters)
    source = FileSource(path=path, camera=camera, observer=counters, options=FrameOptions(width=settings.detection.width, analysis_fps=fps))
    source.open()
    detected: list[DetectedFrame] = []
    cuts: list[bool] = []
    rows: list[npt.NDArray[np.float32]] = []
    try:
        for frame in source.frames():
            found = find(frame)
            before, after = detected[-1].thumbnail if detected else None, found.thumbnail
            cuts.append(before is not None and after is not None and is_cut(before, after))
            crops = [face.crop for face in found.faces if face.crop is not None]
            rows.append(classify(np.stack(crops)) if crops else np.zeros((0, 7), np.float32))
            detected.append(found)
    finally:
        source.close()
    origin = detected[0].info.captured_at_ns - detected[0].info.media_time_ns
    recording = planned(number, camera, source=path.name, frames=len(detected), utc_origin_ns=origin)
    return Analysed(recording, _result(number, detected, cuts, rows))


def planned(number: int, camera: str, **values: Any) -> PlannedRecording:
    """A recording of a plan."""
    usual: dict[str, Any] = {"source": f"{camera}.mp4", "utc_origin_ns": 0, "frames": 0}
    return PlannedRecording(
        number=number, camera=camera, path=f"/{camera}.mp4", size=1, head="", duration_s=0.0, chunks=1, **(usual | values)
    )


def _result(number: int, detected: Sequence[DetectedFrame], cuts: Sequence[bool], rows: Sequence[npt.NDArray[np.float32]]) -> ChunkResult:
    infos, faces = [item.info for item in detected], [face for item in detected for face in item.faces]
    classified = np.array([face.crop is not None for face in faces], bool)
    probabilities = np.zeros((len(faces), 7), np.float32)
    if classified.any():
        probabilities[classified] = np.concatenate(rows)
    boxes = [(box.x, box.y, box.w, box.h) for box in (face.face.box for face in faces)]
    return ChunkResult(
        recording=number,
        chunk=WHOLE,
        frames=FrameTable(
            index=np.array([info.index for info in infos], np.int64),
            media_time_ns=np.array([info.media_time_ns for info in infos], np.int64),
            width=np.array([info.width for info in infos], np.int32),
            height=np.array([info.height for info in infos], np.int32),
            cut=np.array(cuts, bool),
            faces=np.array([len(item.faces) for item in detected], np.int32),
        ),
        faces=FaceTable(
            box=np.array(boxes, np.float64).reshape(-1, 4),
            score=np.array([face.face.score for face in faces], np.float64),
            landmarks=np.array([face.face.landmarks for face in faces], np.float64).reshape(-1, 10),
            abstained=np.array([ABSTAINED.index(face.abstained) for face in faces], np.uint8),
            classified=classified,
            probabilities=probabilities,
        ),
        decoded=len(detected),
    )


def cut_into_chunks(result: ChunkResult, starts: Sequence[int]) -> list[ChunkResult]:
    """Cut a result at positions of frames, the first of which is 0, as workers would have made it: with the first frame of the next
    chunk, and without knowledge of what was before the first own frame."""
    stops = [*starts[1:], len(result.frames.index)]
    return [_chunk(result, number, start, stop) for number, (start, stop) in enumerate(zip(starts, stops, strict=True))]


def _chunk(result: ChunkResult, number: int, start: int, stop: int) -> ChunkResult:
    overlap = int(stop < len(result.frames.index))
    face_at = np.concatenate([[0], np.cumsum(result.frames.faces)])
    frames, faces = slice(start, stop + overlap), slice(int(face_at[start]), int(face_at[stop + overlap]))
    cut = result.frames.cut[frames].copy()
    cut[:1] = False
    frame_table = FrameTable(
        **{name: getattr(result.frames, name)[frames] for name in ("index", "media_time_ns", "width", "height", "faces")}, cut=cut
    )
    face_table = FaceTable(**{name: getattr(result.faces, name)[faces] for name in FaceTable.__slots__})
    return replace(result, chunk=number, frames=frame_table, faces=face_table, overlap=overlap, decoded=stop - start)


def write_archive(
    folder: Path, recordings: Sequence[tuple[PlannedRecording, Sequence[ChunkResult]]], *, settings: Settings, model: str
) -> Plan:
    """Write the plan, the results and the done files of an archive."""
    store = LocalStore(folder)
    plan = Plan(
        recordings=tuple(recording for recording, _ in recordings),
        identity={"ferstream": "0", "model": f"{model} on openvino", "files": hashlib.sha256(model.encode()).hexdigest()},
        settings=settings.model_dump(mode="json"),
    )
    store.write(PLAN, encode_plan(plan))
    for recording, results in recordings:
        names = [result_name(result) for result in results]
        for name, result in zip(names, results, strict=True):
            store.write(name, encode_result(result))
        own = [len(result.frames.index) - result.overlap for result in results]
        done = {
            "files": names,
            "whole": len(results) == 1 and results[0].chunk == WHOLE,
            "reason": "",
            "frames": sum(own),
            "faces": sum(int(result.frames.faces[:count].sum()) for result, count in zip(results, own, strict=True)),
            "lost": sum(result.lost for result in results),
            "seconds": 1.0,
        }
        store.write(f"done/{recording.number:06d}.json", json.dumps(done).encode())
    return plan


def empty_result(recording: int, *, frames: int, lost: int = 0) -> ChunkResult:
    """The result of a whole recording without faces, 25 frames per second."""
    index = np.arange(frames, dtype=np.int64)
    faces = FaceTable(
        box=np.zeros((0, 4)),
        score=np.zeros(0),
        landmarks=np.zeros((0, 10)),
        abstained=np.zeros(0, np.uint8),
        classified=np.zeros(0, bool),
        probabilities=np.zeros((0, 7), np.float32),
    )
    sides = np.full(frames, 64, np.int32)
    table = FrameTable(
        index=index,
        media_time_ns=index * 40_000_000,
        width=sides,
        height=sides,
        cut=np.zeros(frames, bool),
        faces=np.zeros(frames, np.int32),
    )
    return ChunkResult(recording=recording, chunk=WHOLE, frames=table, faces=faces, decoded=frames, lost=lost)
