"""Limits the face events per second and track, by media time, so that a replay repeats exactly."""

from __future__ import annotations

from ferstream.domain.event import FaceEvent
from ferstream.domain.track import TrackState


class FaceRateLimit:
    """Thins the face events of each track; the first and the last one always pass.

    Each track has a grid of slots ``1 / max_hz`` apart, and the first frame in a slot passes. So a
    25 fps camera limited to 10 Hz gives 10 events a second, where a minimum distance
    of 100 ms would give 8.3 (every third frame).
    """

    def __init__(self, *, max_hz: float) -> None:
        """Set the limit in events per second and track; 0 lets everything pass.

        Raises:
            ValueError: ``max_hz`` is negative.
        """
        if not max_hz >= 0:
            raise ValueError(f"max_hz must be 0 or more, got {max_hz}")
        self._period_ns = round(1e9 / max_hz) if max_hz else 0
        self._due_ns: dict[str, int] = {}

    def __len__(self) -> int:
        """Tracks remembered."""
        return len(self._due_ns)

    def allows(self, event: FaceEvent) -> bool:
        """Whether to publish the event; called once per event, in order."""
        if not self._period_ns:
            return True
        now_ns, track = event.info.media_time_ns, event.track
        if track.state is TrackState.LEFT:
            self._due_ns.pop(track.id, None)
            return True
        due_ns = self._due_ns.get(track.id)
        if track.state is TrackState.APPEARED or due_ns is None:
            self._due_ns[track.id] = now_ns + self._period_ns
            return True
        if now_ns < due_ns:
            return False
        # The next event is due at the slot after the one that holds ``now_ns``: skipped slots are not made up for.
        self._due_ns[track.id] = due_ns + self._period_ns * ((now_ns - due_ns) // self._period_ns + 1)
        return True
