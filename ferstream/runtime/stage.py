"""A stage: named threads that take items, work on them and hand the results on.

The loop is the same for every stage, so that heartbeats, timing, failures and the end are
handled once. A stage ends when its input is closed and drained; the last thread out calls
``on_end``, which closes the next input: shutdown runs down the pipeline like the frames do.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from ferstream.errors import ClosedError
from ferstream.runtime.observer import Observer

In = TypeVar("In")
Out = TypeVar("Out")

IDLE_S = 0.5
"""A waiting stage shows that it lives this often."""
FAILURES_IN_A_ROW = 100
"""After so many items failed without one success the stage gives up and the process is restarted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageHooks(Generic[In, Out]):
    """What is particular to a stage.

    Attributes:
        take: Waits up to the given seconds for an item; TimeoutError when none came, ClosedError at the end.
        emit: Hands a result on; may block; must not raise when nobody reads any more, but account for it.
        on_failed: Accounts for an item whose handler raised; called with the error.
        on_end: Called once, by the last thread.
        on_idle: Called when no item came for a while, by the same threads as the handlers.
        on_fatal: Called when the stage gives up.
    """

    take: Callable[[float], In]
    emit: Callable[[In, Out], None]
    on_failed: Callable[[In, BaseException], None]
    on_end: Callable[[], None]
    on_fatal: Callable[[str, BaseException], None]
    on_idle: Callable[[], None] | None = None


class Stage(Generic[In, Out]):
    """Runs one thread per handler."""

    def __init__(
        self,
        *,
        name: str,
        handlers: Sequence[Callable[[In], Out]],
        hooks: StageHooks[In, Out],
        observer: Observer,
    ) -> None:
        if not handlers:
            raise ValueError("want at least one handler")
        self.name = name
        self._hooks, self._observer = hooks, observer
        self._lock = threading.Lock()
        self._running = len(handlers)
        names = [name] if len(handlers) == 1 else [f"{name}-{i}" for i in range(len(handlers))]
        self._threads = [
            threading.Thread(target=self._run, args=(thread_name, handler), name=thread_name, daemon=True)
            for thread_name, handler in zip(names, handlers, strict=True)
        ]

    @property
    def threads(self) -> tuple[threading.Thread, ...]:
        """The threads, for joining and for proofs that they ended."""
        return tuple(self._threads)

    def start(self) -> None:
        """Start the threads; once."""
        for thread in self._threads:
            self._observer.beat(thread.name)
            thread.start()

    def join(self, timeout_s: float) -> bool:
        """Wait for the threads to end; True if all did."""
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self, thread_name: str, handler: Callable[[In], Out]) -> None:
        failures = 0
        try:
            while True:
                try:
                    item = self._hooks.take(IDLE_S)
                except TimeoutError:
                    self._idle()
                except ClosedError:
                    return
                else:
                    error = self._work(handler, item)
                    failures = 0 if error is None else failures + 1
                    if error is not None and failures == FAILURES_IN_A_ROW:
                        error.add_note(f"{failures} items in a row failed in {self.name}")
                        self._hooks.on_fatal(self.name, error)
                self._observer.beat(thread_name)
        except BaseException as exc:  # a thread must not die unnoticed
            self._hooks.on_fatal(self.name, exc)
        finally:
            self._leave(thread_name)

    def _idle(self) -> None:
        if self._hooks.on_idle is not None:
            self._hooks.on_idle()

    def _work(self, handler: Callable[[In], Out], item: In) -> Exception | None:
        started = time.perf_counter()
        try:
            result = handler(item)
            self._observer.duration(self.name, time.perf_counter() - started)
            self._hooks.emit(item, result)
        except Exception as exc:
            self._hooks.on_failed(item, exc)
            return exc
        return None

    def _leave(self, thread_name: str) -> None:
        with self._lock:
            self._running -= 1
            last = self._running == 0
        self._observer.forget_stage(thread_name)
        if last:
            self._hooks.on_end()
