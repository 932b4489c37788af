"""The inference stage: one thread classifies the faces of all cameras in batches and labels their tracks.

When the classifier fails, the faces of its batch are dropped and counted, but the ends of tracks are still
passed on, so that no later stage waits for them. A live frame that would be published later than the staleness budget
is dropped here too. Called by the inference thread only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from ferstream.domain.event import LabelledFrame
from ferstream.domain.frame import EndOfStream
from ferstream.domain.ports import Labeller
from ferstream.domain.track import TrackedFrame
from ferstream.inference.batcher import Item
from ferstream.inference.classifier import Crops, Probabilities
from ferstream.runtime.observer import Observer
from ferstream.runtime.staleness import StalenessLimit

NAME = "inference"
FAILED_BATCHES_IN_A_ROW = 20
"""Number of failures without a success after which the classifier or a labeller counts as broken."""

Labelled = LabelledFrame | EndOfStream
Classify = Callable[[Crops], Probabilities]
NewLabeller = Callable[[str], Labeller]
"""Makes the labeller of a camera, given by its name."""


class InferenceHandler:
    """Classifies the faces of a batch of frames and labels their tracks."""

    def __init__(
        self,
        *,
        classify: Classify,
        new_labeller: NewLabeller,
        limit: StalenessLimit,
        observer: Observer,
        on_error: Callable[[Exception], None],
        on_fatal: Callable[[str, BaseException], None],
    ) -> None:
        """Start without labellers; each is made at the first frame of its camera.

        Args:
            classify: (n, 48, 48) uint8 crops to (n, 7) float32 probabilities; may raise anything.
            new_labeller: Makes the labeller of a camera.
            limit: The age limit of live frames.
            observer: Receives the counts.
            on_error: Called with each error of the classifier or a labeller.
            on_fatal: Called once with the name of the stage and the error, after ``FAILED_BATCHES_IN_A_ROW`` failures.
        """
        self._classify, self._new_labeller, self._limit, self._observer = classify, new_labeller, limit, observer
        self._on_error, self._on_fatal = on_error, on_fatal
        self._labellers: dict[str, Labeller] = {}
        self._failures = 0

    def __call__(self, batch: Sequence[Item]) -> list[Labelled]:
        """Return one labelled item per tracked item, in order; what was dropped has no faces and is marked ``end_of_stream``."""
        stale = [self._is_stale(item) for item in batch]
        failures = self._failures
        try:
            rows = self._probabilities([item for item, is_stale in zip(batch, stale, strict=True) if not is_stale])
        except Exception as exc:  # noqa: BLE001 (thread boundary: counted, and fatal after many in a row)
            self._failed("classifier_errors", exc)
            return [self._without_faces(item, "stale" if is_stale else "error") for item, is_stale in zip(batch, stale, strict=True)]
        remaining = iter(rows)
        labelled = [
            self._without_faces(item, "stale") if is_stale else self._labelled(item, remaining)
            for item, is_stale in zip(batch, stale, strict=True)
        ]
        if rows and self._failures == failures:  # a batch without faces does not show that the classifier works
            self._failures = 0
        return labelled

    def _is_stale(self, item: Item) -> bool:
        """Return whether a live frame comes too late; items that end tracks never do."""
        if isinstance(item, EndOfStream) or item.end_of_stream or not item.info.live:
            return False
        is_late = self._limit.is_late(item.info.captured_ns)
        if is_late:
            self._limit.relax()
        return is_late

    def _probabilities(self, items: Sequence[Item]) -> list[list[float]]:
        frames = [item for item in items if isinstance(item, TrackedFrame)]
        crops = [face.face.crop for frame in frames for face in frame.faces if face.face.crop is not None]
        return self._classify(np.stack(crops)).tolist() if crops else []

    def _labelled(self, item: Item, rows: Iterator[list[float]]) -> Labelled:
        if isinstance(item, EndOfStream):
            return self._end_camera(item)
        camera = item.info.camera
        probabilities = [None if face.face.crop is None else next(rows) for face in item.faces]
        try:
            labelled = self._label(item, probabilities)
        except Exception as exc:  # noqa: BLE001 (counted; only this frame of the batch is dropped)
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

    def _end_camera(self, item: EndOfStream) -> EndOfStream:
        self._labellers.pop(item.camera, None)
        return item

    def _without_faces(self, item: Item, reason: str) -> Labelled:
        """Drop and count a frame, but pass on the ends of its tracks."""
        if isinstance(item, EndOfStream):
            return self._end_camera(item)
        camera = item.info.camera
        if not item.end_of_stream:
            self._observer.frame_dropped(camera, NAME, reason)
        self._observer.faces(camera, "dropped", len(item.faces))
        try:
            return self._label(replace(item, faces=(), end_of_stream=True), ())
        except Exception as exc:  # noqa: BLE001 (counted; the ends of tracks are lost with their labeller)
            self._failed("labeller_errors", exc)
            return LabelledFrame(item.info, faces=(), changes=(), end_of_stream=True)

    def _failed(self, counter: str, exc: Exception) -> None:
        self._failures += 1
        self._observer.count(counter)
        self._on_error(exc)
        if self._failures == FAILED_BATCHES_IN_A_ROW:
            self._on_fatal(NAME, exc)
