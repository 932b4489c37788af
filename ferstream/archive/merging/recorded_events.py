"""One recording of an archive: its results, in order, through the handlers of ``replay``, one after the other in one thread.

Tracks, smoothed labels and numbers depend on all frames before, so they are made here and not by the workers. The handlers are those of
the pipeline, so the events are those of ``replay``. No model is loaded: what the classifier returned is in the results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ferstream.app.assembly import REPLAY, new_labeller, new_tracker, replay_mode
from ferstream.archive.chunk_file import ABSTAINED, ChunkResult, Float32
from ferstream.archive.plan import PlannedRecording
from ferstream.domain.event import Event, LabelledFrame
from ferstream.domain.face import FACE_SIZE_PX, Box, DetectedFrame, Face, FaceCrop, Point
from ferstream.domain.frame import EndOfStream, FrameInfo
from ferstream.errors import DataError
from ferstream.inference.stage import InferenceHandler
from ferstream.publishing.rate_limit import FaceRateLimit
from ferstream.publishing.stage import PublishingHandler
from ferstream.publishing.summaries import Summaries
from ferstream.runtime.clock import Clock, SystemClock
from ferstream.runtime.observer import Observer
from ferstream.runtime.staleness import ExpectedTime, StalenessLimit
from ferstream.settings import Settings
from ferstream.tracking.stage import TrackingHandler

BLOCK_FRAMES = 1024
"""Frames of a result that are in memory as Python objects at a time."""
_CROP = np.zeros((FACE_SIZE_PX, FACE_SIZE_PX), np.uint8)
"""Stands for the crop of every face that was classified; nobody looks at it."""


class InconsistentError(DataError):
    """The results of a recording are whole, but not those of consecutive chunks."""


@dataclass(frozen=True, slots=True)
class RecordedFrame:
    """A frame as the workers recorded it.

    Attributes:
        detected: Its faces; those that were classified have a crop.
        rows: (n, 7) float32: probabilities of the n faces with a crop, in LABELS order.
    """

    detected: DetectedFrame
    rows: Float32


def recorded_frames(results: Iterable[ChunkResult], recording: PlannedRecording) -> Iterator[RecordedFrame]:
    """Yield the frames of a recording, in order; those that two results share come once.

    Args:
        results: The results of its chunks, in order.
        recording: The recording.

    Raises:
        InconsistentError: The results are not those of consecutive chunks.
    """
    before = _Shared(-1, 0, None)
    for result in results:
        own = len(result.frames.index) - result.overlap
        fault = before.fault(result) if own > 0 else "a result has fewer frames than it shares with the next" if own < 0 else ""
        if fault:
            raise InconsistentError(f"{recording.source}: {fault}")
        if own > 0:
            yield from _frames(result, own, recording, first_cut=before.cut_of_first(result))
            before = _Shared.after(result, own)


@dataclass(frozen=True, slots=True)
class _Shared:
    """What the results before say about the next one.

    Attributes:
        index: Number of the last frame.
        media_time_ns: Media time of the last frame.
        cuts: By number of a frame of the next result: whether it shows another scene. The next result does not know what was before
            its first frame. None before the first result.
    """

    index: int
    media_time_ns: int
    cuts: Mapping[int, bool] | None

    @classmethod
    def after(cls, result: ChunkResult, own: int) -> _Shared:
        """Return what a result with ``own`` frames of its own says about the next one."""
        frames = result.frames
        cuts = dict(zip(frames.index[own:].tolist(), frames.cut[own:].tolist(), strict=True))
        return cls(int(frames.index[own - 1]), int(frames.media_time_ns[own - 1]), cuts)

    def fault(self, result: ChunkResult) -> str:
        """Return why a result cannot be the next one; empty if it can."""
        index, times = result.frames.index, result.frames.media_time_ns
        first = int(index[0])
        if first <= self.index or bool((np.diff(index) <= 0).any()):
            return f"frames before frame {max(first, self.index)} come again"
        if int(times[0]) < self.media_time_ns or bool((np.diff(times) < 0).any()):
            return f"media time goes back after frame {self.index}"
        if self.cuts is not None and first not in self.cuts:
            return f"frame {first} does not follow frame {self.index}"
        return ""

    def cut_of_first(self, result: ChunkResult) -> bool:
        """Return whether the first frame of the next result shows another scene."""
        return bool(result.frames.cut[0]) if self.cuts is None else self.cuts[int(result.frames.index[0])]


def _frames(result: ChunkResult, own: int, recording: PlannedRecording, *, first_cut: bool) -> Iterator[RecordedFrame]:
    """Yield the first ``own`` frames of a result."""
    face = 0
    for start in range(0, own, BLOCK_FRAMES):
        stop = min(own, start + BLOCK_FRAMES)
        counts = result.frames.faces[start:stop].tolist()
        faces, rows = _faces(result, face, face + sum(counts))
        face += sum(counts)
        taken = classified = 0
        for position, count in enumerate(counts, start):
            of_frame = tuple(faces[taken : taken + count])
            taken += count
            with_crop = sum(item.crop is not None for item in of_frame)
            cut = bool(result.frames.cut[position]) if position else first_cut
            detected = DetectedFrame(info=_info(result, position, recording), faces=of_frame, cut=cut)
            yield RecordedFrame(detected, rows[classified : classified + with_crop])
            classified += with_crop


def _info(result: ChunkResult, position: int, recording: PlannedRecording) -> FrameInfo:
    frames = result.frames
    media_time_ns = int(frames.media_time_ns[position])
    return FrameInfo(
        camera=recording.camera,
        index=int(frames.index[position]),
        media_time_ns=media_time_ns,
        captured_ns=0,
        captured_at_ns=recording.utc_origin_ns + media_time_ns,
        width=int(frames.width[position]),
        height=int(frames.height[position]),
        live=False,
    )


def _faces(result: ChunkResult, start: int, stop: int) -> tuple[list[FaceCrop], Float32]:
    """Return faces of a result, and the probabilities of those that were classified."""
    table = result.faces
    classified = table.classified[start:stop]
    columns = zip(
        table.box[start:stop].tolist(),
        table.score[start:stop].tolist(),
        table.landmarks[start:stop].reshape(-1, 5, 2).tolist(),
        table.abstained[start:stop].tolist(),
        classified.tolist(),
        strict=True,
    )
    faces = [
        FaceCrop(Face(Box(*box), score, _points(points)), _CROP if has_crop else None, ABSTAINED[abstained])
        for box, score, points, abstained, has_crop in columns
    ]
    return faces, table.probabilities[start:stop][classified]


def _points(points: list[list[float]]) -> tuple[Point, Point, Point, Point, Point]:
    (a, b), (c, d), (e, f), (g, h), (i, j) = points
    return (a, b), (c, d), (e, f), (g, h), (i, j)


class RecordingMerger:
    """Tracks and labels the frames of one recording, and publishes its events. One thread."""

    def __init__(
        self,
        settings: Settings,
        *,
        observer: Observer,
        publish: Callable[[Event], None],
        on_labelled: Callable[[LabelledFrame], None] = lambda frame: None,
        clock: Clock | None = None,
    ) -> None:
        """Start without tracks.

        Args:
            settings: Those of the plan: tracking, labelling, privacy.
            observer: Counts frames, faces and events.
            publish: Takes each event, in order.
            on_labelled: Takes each labelled frame before its events.
            clock: Monotonic time, for the counters only; by default the machine's.
        """
        clock = clock or SystemClock()
        config = replay_mode(settings).config
        self._rows: Float32 = np.zeros((0, 7), np.float32)
        self._on_labelled = on_labelled
        self._track = TrackingHandler(
            new_tracker=lambda camera: new_tracker(settings, camera=camera, run=REPLAY),
            observer=observer,
        )
        self._label = InferenceHandler(
            classify=lambda crops: self._rows,
            new_labeller=lambda camera: new_labeller(settings),
            limit=StalenessLimit(budget_s=config.staleness_s, rest=ExpectedTime(), deviations=0.0, clock=clock),
            observer=observer,
            on_error=_raise,
            on_fatal=lambda stage, error: None,
        )
        self._publish = PublishingHandler(
            publish=publish,
            allow=FaceRateLimit(max_hz=0.0).allows,
            summaries=Summaries(interval_s=config.summary_interval_s, privacy=config.privacy, clock=clock),
            privacy=config.privacy,
            observer=observer,
            clock=clock,
        )

    def add(self, frame: RecordedFrame) -> None:
        """Publish the events of the next frame."""
        self._rows = frame.rows
        self._handle(frame.detected)

    def finish(self, camera: str) -> None:
        """End all tracks: the recording has ended."""
        self._handle(EndOfStream(camera, final=True))

    def _handle(self, item: DetectedFrame | EndOfStream) -> None:
        for labelled in self._label(self._track(item)):
            if isinstance(labelled, LabelledFrame):
                self._on_labelled(labelled)
            self._publish(labelled)


def _raise(error: Exception) -> None:
    raise error
