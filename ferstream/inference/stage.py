"""The inference stage: one thread classifies batches of all cameras and labels their tracks.

Called by the inference thread only. A classifier that fails costs the faces of its batch, which
are counted; the ends of tracks still go through, so nothing downstream waits for ever. A live
frame that grew stale behind a slow classifier is dropped here, so that it catches up at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ferstream.domain.event import LabelledFrame
from ferstream.domain.frame import EndOfStream
from ferstream.domain.track import TrackedFrame
from ferstream.errors import ClassifierMemoryError, ModelError
from ferstream.inference.batcher import Item
from ferstream.inference.classifier import Classifier
from ferstream.runtime.clock import Clock
from ferstream.runtime.observer import Observer

NAME = "inference"
FAILED_BATCHES_IN_A_ROW = 20
"""After so many failures without one success the classifier is taken for broken."""

Crops = npt.NDArray[np.uint8]
Labelled = LabelledFrame | EndOfStream


class Labeller(Protocol):
    """Verdicts for one camera's tracks; see ``ferstream.tracking.tracker.Labeller``."""

    def label(self, frame: TrackedFrame, probabilities: Sequence[Sequence[float] | None]) -> LabelledFrame:
        """Label every face of the next frame."""
        ...


class Classification:
    """Classifies any number of crops through a classifier with a limit, which halves when memory runs out."""

    def __init__(self, classifier: Classifier, *, max_batch: int, observer: Observer) -> None:
        self._classifier, self._observer = classifier, observer
        self.limit = min(max_batch, classifier.max_batch)

    def __call__(self, crops: Crops) -> npt.NDArray[np.float32]:
        """Classify (n, 48, 48) uint8 crops into (n, 7) float32 probabilities; n in = n out.

        Raises:
            ModelError: The back end gave another number of rows, or one face does not fit into memory.
        """
        parts: list[npt.NDArray[np.float32]] = []
        done = 0
        while done < len(crops):
            piece = crops[done : done + self.limit]
            try:
                probabilities = self._classifier.classify(piece)
            except ClassifierMemoryError:
                self._halve()
                continue
            if len(probabilities) != len(piece):
                raise ModelError(f"{self._classifier.name}: {len(piece)} faces in, {len(probabilities)} out")
            self._observer.batch(len(piece))
            parts.append(probabilities)
            done += len(piece)
        return np.concatenate(parts) if parts else np.zeros((0, 7), np.float32)

    def _halve(self) -> None:
        if self.limit == 1:
            raise ModelError('the device has not enough memory for one face; free some, or set inference.backend = "openvino"')
        self.limit //= 2
        self._observer.count("batch_limit_halved")


class InferenceHandler:
    """Classifies a batch and labels its frames."""

    def __init__(
        self,
        *,
        classify: Callable[[Crops], npt.NDArray[np.float32]],
        new_labeller: Callable[[str], Labeller],
        staleness_s: float,
        observer: Observer,
        clock: Clock,
        on_error: Callable[[Exception], None],
        on_fatal: Callable[[str, BaseException], None],
    ) -> None:
        self._classify, self._new_labeller, self._observer, self._clock = classify, new_labeller, observer, clock
        self._staleness_ns = int(staleness_s * 1e9)
        self._on_error, self._on_fatal = on_error, on_fatal
        self._labellers: dict[str, Labeller] = {}
        self._failures = 0

    def __call__(self, batch: Sequence[Item]) -> list[Labelled]:
        """Turn a batch of tracked frames into labelled ones, in order."""
        now_ns = self._clock.monotonic_ns()
        late = [self._is_stale(item, now_ns) for item in batch]
        before = self._failures
        try:
            rows = self._probabilities([item for item, is_late in zip(batch, late, strict=True) if not is_late])
        except Exception as exc:
            self._failed("classifier_errors", exc)
            return [self._without_faces(item, "stale" if is_late else "error") for item, is_late in zip(batch, late, strict=True)]
        left = iter(rows)
        labelled = [
            self._without_faces(item, "stale") if is_late else self._finish(item, left) for item, is_late in zip(batch, late, strict=True)
        ]
        if rows and self._failures == before:  # frames without faces prove nothing
            self._failures = 0
        return labelled

    def _is_stale(self, item: Item, now_ns: int) -> bool:
        """Whether a live frame waited too long behind a slow classifier; what ends tracks never does."""
        if isinstance(item, EndOfStream) or item.end_of_stream or not item.info.live:
            return False
        return now_ns - item.info.captured_ns > self._staleness_ns

    def _probabilities(self, items: Sequence[Item]) -> list[list[float]]:
        frames = [item for item in items if isinstance(item, TrackedFrame)]
        crops = [face.face.crop for frame in frames for face in frame.faces if face.face.crop is not None]
        return self._classify(np.stack(crops)).tolist() if crops else []

    def _finish(self, item: Item, rows: Iterator[list[float]]) -> Labelled:
        if isinstance(item, EndOfStream):
            return self._ended(item)
        camera = item.info.camera
        probabilities = [None if face.face.crop is None else next(rows) for face in item.faces]
        try:
            labelled = self._label(item, probabilities)
        except Exception as exc:  # costs this frame, not the others of its batch
            self._failed("labeller_errors", exc)
            return self._without_faces(item, "error")
        classified = sum(row is not None for row in probabilities)
        self._observer.faces(camera, "classified", classified)
        self._observer.faces(camera, "skipped", len(probabilities) - classified)
        if not item.end_of_stream:
            self._observer.frame(camera, NAME)
        return labelled

    def _label(self, item: TrackedFrame, probabilities: Sequence[Sequence[float] | None]) -> LabelledFrame:
        camera = item.info.camera
        labeller = self._labellers.get(camera)
        if labeller is None:
            labeller = self._labellers[camera] = self._new_labeller(camera)
        labelled = labeller.label(item, probabilities)
        return replace(labelled, end_of_stream=True) if item.end_of_stream else labelled

    def _ended(self, item: EndOfStream) -> EndOfStream:
        self._labellers.pop(item.camera, None)
        return item

    def _without_faces(self, item: Item, reason: str) -> Labelled:
        """Drop a frame, but let the ends of its tracks through."""
        if isinstance(item, EndOfStream):
            return self._ended(item)
        camera = item.info.camera
        if not item.end_of_stream:
            self._observer.frame_dropped(camera, NAME, reason)
        self._observer.faces(camera, "dropped", len(item.faces))
        try:
            return self._label(replace(item, faces=(), end_of_stream=True), ())
        except Exception as exc:
            self._failed("labeller_errors", exc)
            return LabelledFrame(item.info, faces=(), changes=(), end_of_stream=True)

    def _failed(self, what: str, exc: Exception) -> None:
        self._failures += 1
        self._observer.count(what)
        self._on_error(exc)
        if self._failures == FAILED_BATCHES_IN_A_ROW:
            self._on_fatal(NAME, exc)
