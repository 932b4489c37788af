"""A pipeline that runs in threads of its own and gives its events to the thread that iterates."""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from abc import ABC, abstractmethod

from ferstream.api.networks import unload_models
from ferstream.domain.message import Message
from ferstream.errors import ClosedError
from ferstream.runtime.channel import Channel, Overflow

CLOSE_TIMEOUT_S = 15.0
"""Longest wait for the threads of a session in ``close``, in seconds; the pipeline's own limit is 10 s."""
_SESSIONS: weakref.WeakSet[Session] = weakref.WeakSet()


class Session(ABC):
    """Runs ``_work`` in a thread from ``start`` to ``close``.

    ``ask_to_end`` does not wait and takes no lock that another thread of the session holds, so that the garbage collector may call
    it in any thread. The thread of the session looks at ``asked_to_end`` several times a second.
    """

    def __init__(self, *, name: str, capacity: int, overflow: Overflow) -> None:
        """Set up; ``start`` runs the thread.

        Args:
            name: Name of the thread.
            capacity: Most events that wait for the program.
            overflow: What happens when so many wait.
        """
        self.events: Channel[Message] = Channel(capacity=capacity, overflow=overflow, on_drop=self._count_dropped)
        self.asked_to_end = threading.Event()
        self.ready = threading.Event()
        """Set when the sources are open, and at the latest at the end."""
        self._dropped = 0
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def dropped(self) -> int:
        """Events that were dropped because the program took them too slowly."""
        return self._dropped

    @property
    def finished(self) -> bool:
        """Whether no event will come any more."""
        return self.asked_to_end.is_set() or (not self._thread.is_alive() and self._thread.ident is not None and not len(self.events))

    def start(self) -> None:
        """Start the thread; once."""
        _SESSIONS.add(self)
        self._thread.start()

    def next(self, timeout_s: float | None = None) -> Message | None:
        """Wait for the next message; None at the end.

        Args:
            timeout_s: Longest wait in seconds; None waits without a limit.

        Raises:
            TimeoutError: No message came in time.
            FerstreamError: What ended the session early, once.
        """
        try:
            return self.events.get(timeout_s)
        except ClosedError:
            self._thread.join()
            self.raise_failure()
            return None

    def raise_failure(self) -> None:
        """Raise what ended the session early, once; nothing after ``close``, or where nothing failed.

        Raises:
            FerstreamError: A stage failed, or a recording, a camera or the models cannot be used.
        """
        error, self._error = self._error, None
        if error is not None and not self.asked_to_end.is_set():
            raise error

    def ask_to_end(self) -> None:
        """Ask the thread to end, and return at once. Any thread, also in the garbage collector."""
        self.asked_to_end.set()

    def close(self) -> None:
        """End the threads, and wait for them; events that wait are discarded. Any thread but that of the session; more than once."""
        self.ask_to_end()
        self.events.abandon()
        if self._thread.ident is not None:
            self._thread.join(CLOSE_TIMEOUT_S)

    @abstractmethod
    def _work(self) -> None:
        """Run the pipeline until its end, or until ``asked_to_end`` is set; free everything."""

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as exc:  # noqa: BLE001 (thread boundary: ``next`` raises it)
            self._error = exc
        finally:
            self.events.close()
            self.ready.set()

    def _count_dropped(self, _message: Message) -> None:
        self._dropped += 1


def _close_all() -> None:
    """End what a program left running: native code must not run while the interpreter is torn down."""
    for session in list(_SESSIONS):
        session.ask_to_end()
    for session in list(_SESSIONS):
        session.close()
    unload_models()


atexit.register(_close_all)
# A forked process has no threads of its parent's sessions, and may find their locks taken for good.
os.register_at_fork(after_in_child=_SESSIONS.clear)
