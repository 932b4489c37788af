"""Recordings with faces that can be divided, and their plans."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.video.stream import VideoStream

from ferstream.archive.chunk_file import ChunkResult, decode_result
from ferstream.archive.plan import PLAN, Plan, encode_chunks, encode_plan, whole_chunk
from ferstream.archive.planning.planner import PlanOptions, make_plan
from ferstream.archive.storage.store import LocalStore
from ferstream.archive.tasks import Done, Outcome
from ferstream.capture.demo_clip import DemoClip, installed_portraits

RATE, GROUP = 25, 10
SIZE = (480, 270)
_SPEED = 4.0


def faces_clip(path: Path, *, frames: int = 50, noise: int = 0, first: int = 10) -> Path:
    """Encode portraits that come, move and leave, with a key frame in every 10 and two cuts, one of them at a key frame.

    Args:
        path: The file; its suffix chooses the container.
        frames: Number of pictures.
        noise: Seed of noise in the pictures; 0 for none.
        first: Picture of the demo clip with which it begins.
    """
    clip, random = DemoClip(portraits=list(installed_portraits()), detection_size=SIZE), np.random.default_rng(noise)
    options = {"g": str(GROUP), "keyint_min": str(GROUP), "sc_threshold": "0", "preset": "ultrafast", "bf": "2"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.codec_context.thread_count = 1
        for number in range(frames):
            grey = cv2.resize(clip.draw((first + number) * _SPEED / RATE)[0].plane, SIZE, interpolation=cv2.INTER_AREA)
            picture = _changed(np.asarray(grey, np.uint8), number, random if noise else None)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="gray").reformat(format="yuv420p")))
        container.mux(stream.encode(None))
    return path


def _changed(grey: npt.NDArray[np.uint8], number: int, random: np.random.Generator | None) -> npt.NDArray[np.uint8]:
    if 2 * GROUP <= number < 2 * GROUP + 5:
        grey = np.ascontiguousarray(255 - grey[::-1])
    if random is not None:
        grey = np.clip(grey.astype(np.int16) + random.integers(-6, 7, grey.shape), 0, 255).astype(np.uint8)
    return grey


def plan_clips(folder: Path, *clips: Path, **options: Any) -> tuple[LocalStore, Plan]:
    """Plan an archive of recordings, whose chunks have ten pictures."""
    store = LocalStore(folder)
    wanted = {"chunk_s": GROUP / RATE} | options
    return store, make_plan(store, PlanOptions(sources=tuple(str(clip) for clip in clips), **wanted)).plan


def undivided(store: LocalStore, plan: Plan) -> Plan:
    """Write the same plan again, with recordings that are not divided."""
    recordings = tuple(replace(recording, undivided="for a test", chunks=1, origin_pts=0) for recording in plan.recordings)
    for recording in recordings:
        store.write(f"plan/{recording.number:06d}.json", encode_chunks((whole_chunk(),)))
    changed = replace(plan, recordings=recordings)
    store.write(PLAN, encode_plan(changed))
    return changed


def read(store: LocalStore, outcome: Outcome) -> ChunkResult:
    """Read the result of a chunk that was done."""
    assert isinstance(outcome, Done), outcome
    return decode_result(store.read(outcome.file), outcome.file)


def results_in(folder: Path) -> Sequence[Path]:
    """All files of results of an archive, also those that are being written."""
    return sorted((folder / "chunks").iterdir()) if (folder / "chunks").is_dir() else []


def pipeline_threads() -> list[str]:
    """Names of the threads of pipelines and cameras that run."""
    names = ("capture", "watch", "detection", "tracking", "inference", "publishing")
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(names)]
