"""Time limits and intervals of a camera's supervision."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Time limits and intervals of one camera, all in seconds.

    Attributes:
        stall_after_s: An online camera without a picture for so long is stalled.
        frozen_after_s: Identical pictures for so long count as stalled; 0 = off. Live cameras only.
        connect_within_s: Longest time from connecting to the first picture.
        grace_s: Longest wait for the thread of a closed source; then the thread is abandoned.
        stop_grace_s: The same after ``CameraRunner.stop``; frames delivered in that time are discarded.
        auth_wait_s: Added to the back-off after refused credentials, because cameras lock accounts.
        fps_every_s: Interval of the frame rate in the state; the first one comes after a fifth of it.
        check_every_s: Longest interval between two checks of a session.
    """

    stall_after_s: float = 10.0
    frozen_after_s: float = 60.0
    connect_within_s: float = 30.0
    grace_s: float = 10.0
    stop_grace_s: float = 2.0
    auth_wait_s: float = 60.0
    fps_every_s: float = 10.0
    check_every_s: float = 1.0

    @property
    def wake_every_s(self) -> float:
        """Interval of the checks, short enough to notice a stall in time."""
        return min(self.check_every_s, self.stall_after_s / 4, self.connect_within_s / 4)
