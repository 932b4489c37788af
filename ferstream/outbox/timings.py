"""When the outbox writes, waits and retries."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxTimings:
    """When the outbox writes and retries, in seconds.

    Attributes:
        spill_after_s: Age at which an unacknowledged event goes to disk.
        lagging_after_s: The same while the file holds events that are still needed.
        late_s: While an event is not on disk so long after it should be, the publishing thread waits for the writer.
        tick_s: Longest time between two looks for work.
        lock_wait_s: Longest wait at the start for a file that another process uses.
        retry_s: Time between attempts on a failing disk.
        slow_s: A call to the disk that takes longer is reported as a fault.
    """

    spill_after_s: float = 0.5
    lagging_after_s: float = 0.1
    late_s: float = 0.2
    tick_s: float = 0.1
    lock_wait_s: float = 3.0
    retry_s: float = 2.0
    slow_s: float = 5.0
