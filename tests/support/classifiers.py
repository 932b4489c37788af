"""Scripted classifiers for tests: answer at once, raise, or hang until told."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

from ferstream.domain.emotion import LABELS
from ferstream.inference.alignment import FER2013_5PT
from ferstream.inference.classifier import Crops, Probabilities, check_crops


class ScriptedClassifier:
    """A classifier whose answer depends only on each crop's mean: its label is ``int(mean) % 7``.

    Attributes:
        calls: Number of crops of each call, in order.
        entered: Set as soon as a call has begun.
        released: A call waits for it when ``hanging``.
    """

    def __init__(
        self,
        *,
        max_batch: int = 32,
        failures: tuple[BaseException | None, ...] = (),
        hanging: bool = False,
        delay: Callable[[], object] | None = None,
    ) -> None:
        """Script it.

        Args:
            max_batch: What it announces.
            failures: Raised by the first calls in turn; None lets that call through.
            hanging: Whether calls wait for ``released``.
            delay: Called in every call before the answer, to wait on a fake clock or an event.
        """
        self._max_batch = max_batch
        self._failures = list(failures)
        self._hanging = hanging
        self._delay = delay
        self.calls: list[int] = []
        self.entered = threading.Event()
        self.released = threading.Event()
        self.warmed = False
        self.closed = False

    @property
    def name(self) -> str:
        """Name of the model."""
        return "scripted"

    @property
    def version(self) -> str:
        """Version of the model."""
        return "0.0.1"

    @property
    def backend(self) -> str:
        """What computes."""
        return "scripted"

    @property
    def labels(self) -> tuple[str, ...]:
        """Label of each probability."""
        return LABELS

    @property
    def alignment_id(self) -> str:
        """Geometry of the crops."""
        return FER2013_5PT

    @property
    def max_batch(self) -> int:
        """Most crops of a call."""
        return self._max_batch

    def classify(self, crops: Crops) -> Probabilities:
        """Answer by the mean grey of each crop."""
        check_crops(crops)
        self.calls.append(len(crops))
        self.entered.set()
        if self._hanging:
            self.released.wait()
        if self._delay is not None:
            self._delay()
        failure = self._failures.pop(0) if self._failures else None
        if failure is not None:
            raise failure
        rows = np.full((len(crops), len(LABELS)), 0.05, np.float32)
        if len(crops):
            best = crops.reshape(len(crops), -1).mean(axis=1).astype(int) % len(LABELS)
            rows[np.arange(len(crops)), best] = 1.0 - 0.05 * (len(LABELS) - 1)
        return rows

    def warm_up(self) -> None:
        """Remember that it was warmed."""
        self.warmed = True

    def close(self) -> None:
        """Remember that it was closed, and release hanging calls."""
        self.closed = True
        self.released.set()
