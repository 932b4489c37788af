"""A scripted classifier for tests, which returns at once, raises, or waits."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

from ferstream.domain.emotion import LABELS
from ferstream.inference.alignment import FER2013_5PT
from ferstream.inference.classifier import Crops, Probabilities, check_crops


class ScriptedClassifier:
    """A classifier whose result depends only on the mean of each crop: the label is ``LABELS[int(mean) % 7]``.

    Attributes:
        calls: Number of crops of each call, in order.
        entered: Set at the start of a call.
        released: Calls wait for it if ``hanging``.
        warmed: Whether ``warm_up`` was called.
        closed: Whether ``close`` was called.
    """

    def __init__(
        self,
        *,
        max_batch: int = 32,
        failures: tuple[BaseException | None, ...] = (),
        hanging: bool = False,
        delay: Callable[[], object] | None = None,
    ) -> None:
        """Prepare the results.

        Args:
            max_batch: Value of the property.
            failures: Raised by the first calls, one each; None for a call that succeeds.
            hanging: Whether calls wait for ``released``.
            delay: Called in every call before it returns.
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
        """Library and device."""
        return "scripted"

    @property
    def labels(self) -> tuple[str, ...]:
        """Label of each probability."""
        return LABELS

    @property
    def alignment_id(self) -> str:
        """Id of the geometry of the crops."""
        return FER2013_5PT

    @property
    def max_batch(self) -> int:
        """Largest useful number of crops per call."""
        return self._max_batch

    def classify(self, crops: Crops) -> Probabilities:
        """Return probabilities by the mean of each crop."""
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
        """Record the call."""
        self.warmed = True

    def close(self) -> None:
        """Record the call, and release hanging calls."""
        self.closed = True
        self.released.set()
