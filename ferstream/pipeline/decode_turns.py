"""Lets only a few cameras decode at once when decoding falls behind, those first that were served least.

All decoders at once would leave hardly any CPU time for the analysis of a frame, and most of what they decode would
be replaced before it is taken. A camera takes part only while its decoder is behind its stream. The capture threads
call ``wait``; any thread calls the rest.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Protocol


class Queue(Protocol):
    """The queue of a camera's frames."""

    @property
    def service(self) -> float:
        """How much was taken from it, relative to its weight."""
        ...

    def __len__(self) -> int:
        """Return the number of frames that wait."""
        ...


@dataclass(frozen=True, slots=True)
class _Waiter:
    queue: Queue
    since: float


class DecodeTurns:
    """Hands out turns to decode.

    Args:
        places: Cameras that may decode at once.
        refresh_s: A camera whose last frame was not taken decodes the next one after this time at the earliest.
        longest_wait_s: A camera decodes after this time in any case.
        long_turn_s: A turn that takes longer keeps nobody waiting: the camera may wait for its network.
    """

    def __init__(self, places: int, *, refresh_s: float = 0.1, longest_wait_s: float = 5.0, long_turn_s: float = 1.0) -> None:
        self._places, self._refresh_s, self._longest_wait_s, self._long_turn_s = places, refresh_s, longest_wait_s, long_turn_s
        self._changed = threading.Condition()
        self._waiting: dict[str, _Waiter] = {}
        self._turns: dict[str, float] = {}
        self._closed = False

    def wait(self, camera: str, queue: Queue, *, is_behind: bool) -> None:
        """Wait until the camera, which has just delivered a frame, may decode the next one.

        Returns at once while all decoders keep up. A decoder that keeps up takes no place: it waits for its stream.
        """
        with self._changed:
            if not is_behind and not self._waiting:
                self._turns.pop(camera, None)
                return
            waiter = self._waiting[camera] = _Waiter(queue, time.monotonic())
            self._turns.pop(camera, None)
            self._changed.notify_all()
            while self._waiting.get(camera) is waiter and not self._is_next(camera, waiter):
                self._changed.wait(self._refresh_s)
            if self._waiting.get(camera) is waiter:
                del self._waiting[camera]
                if is_behind:
                    self._turns[camera] = time.monotonic()
                self._changed.notify_all()

    def _is_next(self, camera: str, waiter: _Waiter) -> bool:
        now = time.monotonic()
        if self._closed or now - waiter.since >= self._longest_wait_s:
            return True
        if sum(now - since < self._long_turn_s for since in self._turns.values()) >= self._places:
            return False
        due = {name: waiting.queue.service for name, waiting in self._waiting.items() if self._is_due(waiting, now)}
        return camera in due and due[camera] == min(due.values())

    def _is_due(self, waiter: _Waiter, now: float) -> bool:
        """Return whether a new frame is wanted: the last one was taken, or is no longer fresh."""
        return not len(waiter.queue) or now - waiter.since >= self._refresh_s

    @property
    def waiting(self) -> tuple[str, ...]:
        """The cameras that wait for their turn."""
        with self._changed:
            return tuple(self._waiting)

    def taken(self) -> None:
        """A frame was taken from a queue: its camera may be next."""
        with self._changed:
            if self._waiting:
                self._changed.notify_all()

    def leave(self, camera: str) -> None:
        """The camera takes part no more: it keeps up, is offline, or ends."""
        with self._changed:
            if self._waiting.pop(camera, None) is not None or self._turns.pop(camera, None) is not None:
                self._changed.notify_all()

    def close(self) -> None:
        """End all waits, now and later."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
