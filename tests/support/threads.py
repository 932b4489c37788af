"""A call in a thread of its own, and waiting for the state of other threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from tests.support.runners import PATIENCE_S

T = TypeVar("T")
_TICK_S = 0.001


class Task(Generic[T]):
    """A call in a thread of its own; ``result`` waits for its end and checks that the thread ended."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._value: list[T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="task", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._value.append(self._call())
        except BaseException as exc:  # noqa: BLE001 (thread boundary: ``result`` raises it)
            self._error = exc

    @property
    def alive(self) -> bool:
        """Whether the call is still running."""
        return self._thread.is_alive()

    def result(self) -> T:
        """Return what the call returned, or raise what it raised."""
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive(), "the call did not end"
        if self._error is not None:
            raise self._error
        return self._value[0]


def wait_until(is_so: Callable[[], bool], *, every_s: float = _TICK_S, patience_s: float = PATIENCE_S) -> None:
    """Wait for a condition that sets no event, such as that another thread waits on a channel; look every ``every_s`` seconds."""
    deadline = time.monotonic() + patience_s
    pause = threading.Event()
    while not is_so():
        assert time.monotonic() < deadline, "the condition did not come true"
        pause.wait(every_s)
