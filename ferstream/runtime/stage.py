"""A stage: named threads that take items, process them and pass the results on.

Heartbeats, timing, failures and the end are the same for every stage and handled here. A stage ends when its
input is closed and empty. The last of its threads then calls ``on_end``, which closes the input of the next
stage, so that a shutdown passes through the pipeline in the direction of the frames.
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
"""Longest wait for an item in seconds; a waiting stage sends a heartbeat at this interval."""
FAILURES_IN_A_ROW = 100
"""Number of failed items without a success after which a stage reports a fatal error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageHooks(Generic[In, Out]):
    """The functions that differ from stage to stage.

    Attributes:
        take: Waits up to the given seconds for an item; raises TimeoutError when none came and ClosedError at the end.
        emit: Passes a result on. May block. When the next stage takes no more results, it counts the loss and does not raise.
        on_failed: Called with an item whose handler or hand-over raised, and the error; counts the loss.
        on_end: Called once, by the last thread that ends.
        on_fatal: Called with the name of the stage and the error when the stage cannot work.
        on_idle: Called when no item came for ``idle_s``, by the same threads as the handlers.
    """

    take: Callable[[float], In]
    emit: Callable[[In, Out], None]
    on_failed: Callable[[In, BaseException], None]
    on_end: Callable[[], None]
    on_fatal: Callable[[str, BaseException], None]
    on_idle: Callable[[], None] | None = None


class Stage(Generic[In, Out]):
    """Runs one thread per handler on a common input."""

    def __init__(
        self,
        *,
        name: str,
        handlers: Sequence[Callable[[In], Out]],
        hooks: StageHooks[In, Out],
        observer: Observer,
        idle_s: float = IDLE_S,
    ) -> None:
        """Prepare the threads; ``start`` starts them.

        Args:
            name: Name of the stage in metrics; threads are called ``name``, or ``name-0``, ``name-1``, ... when there are several.
            handlers: One per thread; each turns an item into a result.
            hooks: Input, output and callbacks.
            observer: Receives durations and heartbeats.
            idle_s: Longest wait for an item in seconds, after which the stage sends a heartbeat and calls ``on_idle``.

        Raises:
            ValueError: There is no handler.
        """
        if not handlers:
            raise ValueError("want at least one handler")
        self.name = name
        self._hooks, self._observer, self._idle_s = hooks, observer, idle_s
        self._lock = threading.Lock()
        self._running = len(handlers)
        names = [name] if len(handlers) == 1 else [f"{name}-{i}" for i in range(len(handlers))]
        self._threads = [
            threading.Thread(target=self._run, args=(thread_name, handler), name=thread_name, daemon=True)
            for thread_name, handler in zip(names, handlers, strict=True)
        ]

    @property
    def threads(self) -> tuple[threading.Thread, ...]:
        """The threads, whether they run or not."""
        return tuple(self._threads)

    def start(self) -> None:
        """Start the threads; call it once."""
        for thread in self._threads:
            self._observer.beat(thread.name)
            thread.start()

    def join(self, timeout_s: float) -> bool:
        """Wait up to ``timeout_s`` seconds in total for the threads to end; return whether all did."""
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self, thread_name: str, handler: Callable[[In], Out]) -> None:
        failures = 0
        try:
            while True:
                try:
                    item = self._hooks.take(self._idle_s)
                except TimeoutError:
                    self._idle()
                except ClosedError:
                    return
                else:
                    error = self._process(handler, item)
                    failures = 0 if error is None else failures + 1
                    if error is not None and failures == FAILURES_IN_A_ROW:
                        error.add_note(f"{failures} items in a row failed in {self.name}")
                        self._hooks.on_fatal(self.name, error)
                self._observer.beat(thread_name)
        except BaseException as exc:  # noqa: BLE001 (thread boundary: reported as fatal)
            self._hooks.on_fatal(self.name, exc)
        finally:
            self._leave(thread_name)

    def _idle(self) -> None:
        if self._hooks.on_idle is not None:
            self._hooks.on_idle()

    def _process(self, handler: Callable[[In], Out], item: In) -> Exception | None:
        started = time.perf_counter()
        try:
            result = handler(item)
            self._observer.duration(self.name, time.perf_counter() - started)
            self._hooks.emit(item, result)
        except Exception as exc:  # noqa: BLE001 (thread boundary: counted by on_failed, fatal when they go on)
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
