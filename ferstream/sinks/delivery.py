"""The loop that network sinks share: take events from an outbox reader, send them, acknowledge, retry.

A sink gives the loop a ``Transport``, which knows one protocol and nothing about the outbox. ``_run`` is the retry,
``_session`` one connection, ``_exchange`` the traffic on it; all three run in the thread of the loop. An event that
was neither accepted nor refused when a session ends goes back to the outbox and is sent again, in its old order.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ferstream.outbox.entry import Delivery
from ferstream.outbox.reader import OutboxReader
from ferstream.runtime.backoff import Backoff
from ferstream.runtime.observer import Observer
from ferstream.sinks.transport import Accepted, Failed, Refused, Result, Transport

REJECTED = "rejected"
"""Reason under which the outbox counts an event that the other side will never accept."""
REFUSED = "refused"
"""Reason under which the outbox counts an event that failed ``max_attempts`` times while others were accepted."""
MAX_RETRY_AFTER_S = 3600.0
"""Longest wait that the other side can ask for."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Limits of the loop.

    Attributes:
        window: Most events in flight.
        step_s: Longest time between two heartbeats while events are in flight, in seconds.
        idle_s: The same while nothing is in flight.
        grace_s: Time that a session gets for what is being sent when it ends, in seconds.
        max_attempts: Attempts after which an event is dropped if others were accepted beside each of them.
    """

    window: int = 64
    step_s: float = 0.5
    idle_s: float = 1.0
    grace_s: float = 2.0
    max_attempts: int = 10


class DeliveryLoop:
    """A thread that delivers the events of one outbox reader over one transport."""

    def __init__(
        self,
        *,
        name: str,
        open_reader: Callable[[Callable[[], None]], OutboxReader],
        transport: Transport,
        observer: Observer,
        backoff: Backoff | None = None,
        timings: Timings | None = None,
        on_fatal: Callable[[str, BaseException], None] | None = None,
    ) -> None:
        """Prepare; ``start`` starts the thread.

        Args:
            name: Name of the sink: of the thread, its heartbeat and its log lines.
            open_reader: Makes the reader; its argument is the function to call when there is something to take.
            transport: Sends the events.
            observer: Receives heartbeats and counts.
            backoff: Waits between two sessions; by default 0.5 to 60 s.
            timings: Limits of the loop.
            on_fatal: Called with the name and the error when the thread ends by a defect.
        """
        self._name, self._transport, self._observer = name, transport, observer
        self._backoff = backoff or Backoff(floor_s=0.5, cap_s=60.0)
        self._timings = timings or Timings()
        self._on_fatal = on_fatal
        self._stop, self._ready = threading.Event(), threading.Event()
        self._connected, self._down, self._answers_badly = False, False, False
        self._reason = "not connected yet"
        self._in_flight = 0
        self._accepted_any = self._answered_any = False
        self._failed: list[Delivery] = []
        self._logged: set[str] = set()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._reader = open_reader(self.wake)

    @property
    def reader(self) -> OutboxReader:
        """The reader whose events it delivers."""
        return self._reader

    @property
    def connected(self) -> bool:
        """Whether the other side accepts events now."""
        return self._connected

    @property
    def down(self) -> bool:
        """Whether the last attempt failed; neither this nor ``connected`` holds before the first."""
        return self._down

    @property
    def reason(self) -> str:
        """Why it is not connected, one line; empty when it is."""
        return self._reason

    @property
    def in_flight(self) -> int:
        """Events that were sent and not answered."""
        return self._in_flight

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start the thread; may be called once."""
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """End the thread; return whether it ended in time. More than one call is allowed."""
        self._stop.set()
        self.wake()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def wake(self) -> None:
        """Tell the loop that the reader has something new; any thread may call it."""
        self._ready.set()
        self._transport.wake()

    # -- the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                failure = self._session()
                if failure is None or self._stop.wait(self._pause_s(failure)):
                    return
        except BaseException as exc:
            self._reason = f"internal error: {type(exc).__name__}"
            if self._on_fatal is None:
                raise
            self._on_fatal(self._name, exc)
        finally:
            self._connected, self._down = False, True

    def _session(self) -> Failed | None:
        """Connect and deliver until something fails; None after a stop."""
        self._accepted_any = self._answered_any = False
        self._failed.clear()
        failure = None
        try:
            failure = self._transport.connect(self._stop.is_set)
            if failure is not None:
                self._answers_badly = False
            elif not self._stop.is_set():
                failure = self._exchange()
                self._answers_badly = failure is not None and not self._answered_any
        finally:
            self._close_session()
        return failure

    def _close_session(self) -> None:
        self._settle(self._transport.end(self._timings.grace_s))
        if self._accepted_any:
            self._count_attempts()
        self._reader.give_back()
        self._in_flight = 0
        # No heartbeat is expected until the next session: the pause may be longer than the limit of the watchdog.
        self._observer.forget_stage(self._name)

    def _exchange(self) -> Failed | None:
        """Send and collect results until one is a failure; None after a stop."""
        if not self._answers_badly:
            self._set_connected()
        while not self._stop.is_set():
            self._observer.beat(self._name)
            self._ready.clear()
            self._submit()
            results = self._transport.collect(self._timings.step_s if self._in_flight else 0.0)
            failure = self._settle(results)
            if failure is not None:
                return failure
            if not results and not self._in_flight:
                self._ready.wait(self._timings.idle_s)
        return None

    def _submit(self) -> None:
        room = self._timings.window - self._in_flight
        taken = self._reader.take(room) if room > 0 else ()
        if not taken:
            return
        resent = sum(delivery.sent for delivery in taken)
        if resent:
            self._observer.count("sink_resent", self._name, resent)
        for delivery in taken:
            delivery.sent = True
        self._in_flight += len(taken)
        self._transport.submit(taken)

    def _settle(self, results: Sequence[Result]) -> Failed | None:
        """Acknowledge and refuse; return the first failure."""
        accepted = [result.delivery for result in results if isinstance(result, Accepted)]
        refused = [result for result in results if isinstance(result, Refused)]
        failures = [result for result in results if isinstance(result, Failed)]
        if accepted:
            self._reader.acknowledge(accepted)
            self._observer.count("sink_delivered", self._name, len(accepted))
        for result in refused:
            self._refuse(result)
        self._in_flight -= len(accepted) + len(refused)
        self._accepted_any |= bool(accepted)
        if accepted or refused:
            self._answered_any = True
            if not failures:
                self._set_connected()
        self._failed += [result.delivery for result in failures if result.delivery is not None]
        return failures[0] if failures else None

    def _refuse(self, result: Refused) -> None:
        self._reader.refuse(result.delivery, REJECTED)
        self._observer.count("sink_rejected", self._name)
        self._log_once(f"refuses events ({result.detail}); each of them is dropped and counted")

    def _count_attempts(self) -> None:
        """Drop an event that keeps failing while others are accepted, so that its camera does not wait for ever."""
        for delivery in self._failed:
            delivery.attempts += 1
            if delivery.attempts >= self._timings.max_attempts:
                self._reader.refuse(delivery, REFUSED)
                self._observer.count("sink_rejected", self._name)
                self._log_once(f"fails with the same event {delivery.attempts} times while it accepts others; the event is dropped")

    def _log_once(self, text: str) -> None:
        if text not in self._logged:
            self._logged.add(text)
            _LOG.error("%s: %s %s; logged once", self._name, self._transport.label, text)

    def _set_connected(self) -> None:
        if not self._connected and not self._stop.is_set():
            self._connected, self._down, self._reason = True, False, ""
            self._observer.count("sink_connects", self._name)
            _LOG.info("%s: connected to %s", self._name, self._transport.label)

    def _pause_s(self, failure: Failed) -> float:
        """Note and log a failure; return the seconds to wait."""
        if self._answered_any:
            self._backoff.succeeded(math.inf)
        pause_s = max(self._backoff.next_s(), min(failure.retry_after_s, MAX_RETRY_AFTER_S))
        if self._connected or failure.reason != self._reason:
            _LOG.warning("%s: %s; retrying in %.1f s", self._name, failure.reason, pause_s)
        self._connected, self._down, self._reason = False, True, failure.reason
        self._observer.count("sink_retries", self._name)
        return pause_s
