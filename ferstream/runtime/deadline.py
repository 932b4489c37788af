"""Calls that may hang, each with a time limit. A call that exceeds its limit keeps its daemon thread and is ignored."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from ferstream.runtime.clock import Clock, SystemClock

T = TypeVar("T")


class DeadlineCall(Generic[T]):
    """One call in a daemon thread, so that a native call that never returns cannot keep the process from ending."""

    def __init__(self, call: Callable[[], T], *, name: str, timeout_s: float, clock: Clock | None = None) -> None:
        """Start the thread.

        Args:
            call: What to run.
            name: Name of the thread.
            timeout_s: Seconds from now until ``result`` stops waiting.
            clock: Measures the limit; None for the system's.
        """
        self._call = call
        self._clock = clock or SystemClock()
        self._deadline_ns = self._clock.monotonic_ns() + int(timeout_s * 1e9)
        self._done = threading.Event()
        self._value: T
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def result(self) -> T:
        """Wait for the result until the limit.

        Raises:
            TimeoutError: The call did not return in time.
            BaseException: What the call raised.
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
        except BaseException as exc:  # noqa: BLE001 (thread boundary: ``result`` raises it)
            self._error = exc
        finally:
            self._done.set()
