"""Calls that may hang, several at once, each with a limit. What does not come back in time is left behind."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from ferstream.runtime.clock import Clock, SystemClock

T = TypeVar("T")


class DeadlineCall(Generic[T]):
    """One call on a daemon thread, so that a native call that never returns cannot keep the process from ending."""

    def __init__(self, call: Callable[[], T], *, name: str, timeout_s: float, clock: Clock | None = None) -> None:
        """Begin at once; ``timeout_s`` counts from here."""
        self._call = call
        self._clock = clock or SystemClock()
        self._deadline_ns = self._clock.monotonic_ns() + int(timeout_s * 1e9)
        self._done = threading.Event()
        self._value: T
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def result(self) -> T:
        """Wait for the result, up to the deadline.

        Raises:
            TimeoutError: It did not come in time.
            Exception: What the call raised.
        """
        left_s = (self._deadline_ns - self._clock.monotonic_ns()) / 1e9
        if not self._done.wait(max(0.0, left_s)):
            raise TimeoutError
        if self._error is not None:
            raise self._error
        return self._value

    def _run(self) -> None:
        try:
            self._value = self._call()
        except BaseException as exc:
            self._error = exc
        finally:
            self._done.set()
