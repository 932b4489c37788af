"""A transport over a client that blocks: several requests at a time, one per camera.

The events of a camera are sent one after the other, so that a later one never overtakes an earlier one; different
cameras share the workers. Each worker is a thread with a client (a connection) of its own. A request that takes
too long is abandoned: its client is aborted, and its thread ends by itself when the system lets it go, for example
after a name that does not resolve.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from ferstream.outbox.entry import Delivery
from ferstream.sinks.transport import Failed, Result

_JOIN_S = 1.0


class Client(Protocol):
    """One connection that sends one event at a time. Its worker calls everything but ``abort``."""

    def connect(self) -> Failed | None:
        """Connect; return why that failed."""
        ...

    def send(self, delivery: Delivery) -> Result:
        """Send one event and wait for the response."""
        ...

    def abort(self) -> None:
        """End the call that runs now and every later one; any thread may call it."""
        ...

    def close(self) -> None:
        """Release the connection."""
        ...


class _Worker:
    def __init__(self, client: Client) -> None:
        self.client = client
        self.thread: threading.Thread | None = None
        self.began: float | None = None
        """Monotonic seconds at which its request or connection attempt began; None while it waits."""
        self.abandoned = False


class RequestWorkers:
    """Implements ``Transport`` with a few threads."""

    def __init__(self, *, name: str, label: str, make_client: Callable[[], Client], max_in_flight: int, limit_s: float) -> None:
        """Prepare; threads start with the first session.

        Args:
            name: Name of the sink; the threads have it too.
            label: Address of the other side, safe to show.
            make_client: Makes the client of one worker.
            max_in_flight: Most requests at a time.
            limit_s: Longest time of one request or connection attempt, in seconds.
        """
        self._name, self._label, self._make_client = name, label, make_client
        self._max_in_flight, self._limit_s = max_in_flight, limit_s
        self._changed = threading.Condition()
        self._waiting: dict[str, deque[Delivery]] = {}
        self._startable: deque[str] = deque()  # cameras that have waiting events and are not busy
        self._busy: set[str] = set()  # cameras with a request that runs or that failed
        self._results: list[Result] = []
        self._workers: list[_Worker] = []
        self._probe: list[Failed | None] = []
        self._defect: BaseException | None = None
        self._halted = True
        self._woken = False

    @property
    def label(self) -> str:
        """Address of the other side, safe to show."""
        return self._label

    def open(self) -> None:
        """Nothing to check."""

    def wake(self) -> None:
        """Make ``connect`` and ``collect`` return; any thread may call it."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    # -- the thread of the loop ------------------------------------------------------------------

    def connect(self, stopped: Callable[[], bool]) -> Failed | None:
        """Connect the first worker; its connection serves the first request."""
        with self._changed:
            self._halted = False
            self._probe.clear()
            worker = self._start_worker(probe=True)
            self._changed.wait_for(lambda: self._probe or self._defect or stopped(), self._limit_s)
            self._raise_defect()
            if self._probe:
                return self._probe[0]
            self._abandon(worker)
        return None if stopped() else Failed(f"{self._label}: no connection within {self._limit_s:g} s")

    def submit(self, deliveries: Sequence[Delivery]) -> None:
        """Start to send these events, in order per camera."""
        with self._changed:
            for delivery in deliveries:
                queue = self._waiting.setdefault(delivery.camera, deque())
                if not queue and delivery.camera not in self._busy:
                    self._startable.append(delivery.camera)
                queue.append(delivery)
            idle = sum(worker.began is None for worker in self._workers)
            for _ in range(min(len(self._startable) - idle, self._max_in_flight - len(self._workers))):
                self._start_worker(probe=False)
            self._changed.notify_all()

    def collect(self, timeout_s: float) -> list[Result]:
        """Wait for a result; a request over its limit becomes a failure."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not (self._results or self._woken or self._defect) and (left_s := deadline - time.monotonic()) > 0:
                self._changed.wait(min(left_s, self._until_overdue_s()))
                self._abandon_overdue()
            self._raise_defect()
            self._woken = False
            return self._take_results()

    def end(self, grace_s: float) -> list[Result]:
        """Start no new request, wait for those that run, then abandon them; end the threads."""
        with self._changed:
            self._halted = True
            self._waiting.clear()
            self._startable.clear()
            self._busy.clear()
            self._changed.notify_all()
            self._changed.wait_for(lambda: all(worker.began is None for worker in self._workers), grace_s)
            results, workers = self._take_results(), self._workers[:]
            for worker in workers:
                self._abandon(worker)
        deadline = time.monotonic() + _JOIN_S
        for worker in workers:
            if worker.thread is not None:
                worker.thread.join(max(0.0, deadline - time.monotonic()))
        return results

    def _raise_defect(self) -> None:
        if self._defect is not None:
            raise self._defect

    def _take_results(self) -> list[Result]:
        results, self._results = self._results, []
        return results

    def _until_overdue_s(self) -> float:
        began = [worker.began for worker in self._workers if worker.began is not None]
        return max(0.0, min(began) + self._limit_s - time.monotonic()) if began else self._limit_s

    def _abandon_overdue(self) -> None:
        now = time.monotonic()
        overdue = [worker for worker in self._workers if worker.began is not None and now - worker.began >= self._limit_s]
        for worker in overdue:
            self._abandon(worker)
            self._results.append(Failed(f"{self._label}: no response within {self._limit_s:g} s"))

    def _abandon(self, worker: _Worker) -> None:
        worker.abandoned = True
        worker.client.abort()
        if worker in self._workers:
            self._workers.remove(worker)
        self._changed.notify_all()

    def _start_worker(self, *, probe: bool) -> _Worker:
        worker = _Worker(self._make_client())
        worker.began = time.monotonic() if probe else None
        worker.thread = threading.Thread(target=self._run, args=(worker, probe), name=f"{self._name} request", daemon=True)
        self._workers.append(worker)
        worker.thread.start()
        return worker

    # -- the workers -----------------------------------------------------------------------------

    def _run(self, worker: _Worker, probe: bool) -> None:
        try:
            if probe:
                self._probed(worker, worker.client.connect())
            while (delivery := self._next(worker)) is not None:
                self._finished(worker, delivery, worker.client.send(delivery))
        except BaseException as exc:  # noqa: BLE001 (the boundary of the thread: the loop raises it again)
            self._broke(worker, exc)
        finally:
            worker.client.close()

    def _probed(self, worker: _Worker, failure: Failed | None) -> None:
        with self._changed:
            if not worker.abandoned:
                worker.began = None
                self._probe.append(failure)
                self._changed.notify_all()

    def _next(self, worker: _Worker) -> Delivery | None:
        """Wait for an event that may be sent; None when the worker is to end."""
        with self._changed:
            self._changed.wait_for(lambda: worker.abandoned or (self._startable and not self._halted))
            if worker.abandoned:
                return None
            worker.began = time.monotonic()
            camera = self._startable.popleft()
            self._busy.add(camera)
            return self._waiting[camera].popleft()

    def _finished(self, worker: _Worker, delivery: Delivery, result: Result) -> None:
        with self._changed:
            if worker.abandoned:
                return
            worker.began = None
            self._results.append(result)
            if isinstance(result, Failed):
                # Its camera stays blocked: a later event must not overtake this one.
                self._halted |= result.delivery is None
            else:
                self._busy.discard(delivery.camera)
                if self._waiting.get(delivery.camera):
                    self._startable.append(delivery.camera)
            self._changed.notify_all()

    def _broke(self, worker: _Worker, error: BaseException) -> None:
        with self._changed:
            worker.began = None
            self._defect = self._defect or error
            self._changed.notify_all()
