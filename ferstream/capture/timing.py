"""Media times that never decrease, and the choice of the frames to analyse.

Integer arithmetic only, so that a recording gives the same times on every machine.
"""

from __future__ import annotations

_SECOND_NS = 1_000_000_000
LONGEST_GAP_NS = 600 * _SECOND_NS
"""Longest gap in a recording by default: a longer one is a jump."""
_JUMP_BACK_NS = _SECOND_NS
_TOLERANCE_NS = 2 * _SECOND_NS


class MediaTimeline:
    """Converts presentation timestamps (PTS) to nanoseconds since the first frame, strictly increasing.

    A missing or repeated PTS continues by the nominal step. A PTS that goes back by more than a second, or forward by more
    than ``longest_gap_ns``, is a jump (a wrapped counter, joined recordings, a camera whose clock was set): it starts a new
    segment, which continues by the nominal step, or by the last one if that was shorter. A smaller step back is jitter and
    continues by the nominal step too.

    Args:
        step_ns: Nominal time from frame to frame in nanoseconds.
        start_ns: Media time of the first frame in nanoseconds.
        longest_gap_ns: Longest time between two frames in nanoseconds that is not a jump.
    """

    def __init__(self, *, step_ns: int, start_ns: int = 0, longest_gap_ns: int = LONGEST_GAP_NS) -> None:
        if step_ns < 1 or start_ns < 0 or longest_gap_ns < 0:
            raise ValueError(f"want step_ns >= 1, start_ns >= 0 and longest_gap_ns >= 0, got {step_ns}, {start_ns}, {longest_gap_ns}")
        self._step_ns, self._start_ns, self._longest_gap_ns = step_ns, start_ns, longest_gap_ns
        self._origin_ns: int | None = None
        self._last_ns: int | None = None
        self._last_step_ns = 0

    @property
    def next_ns(self) -> int:
        """Media time of a next frame without a PTS, in nanoseconds."""
        return self._start_ns if self._last_ns is None else self._last_ns + self._step_ns

    def at(self, pts_ns: int | None) -> int:
        """Return the media time of the next frame.

        Args:
            pts_ns: Its PTS in nanoseconds of the stream's own time; None when it has none.

        Returns:
            Nanoseconds, greater than all before.
        """
        now_ns = self._since_start(pts_ns)
        self._last_step_ns = 0 if self._last_ns is None else now_ns - self._last_ns
        self._last_ns = now_ns
        return now_ns

    def _since_start(self, pts_ns: int | None) -> int:
        if pts_ns is None:
            return self.next_ns
        if self._origin_ns is None:
            self._origin_ns = pts_ns - self.next_ns
        now_ns = pts_ns - self._origin_ns
        gap_ns = 0 if self._last_ns is None else now_ns - self._last_ns
        if self._last_ns is not None and (gap_ns > max(self._longest_gap_ns, self._step_ns) or gap_ns < -_JUMP_BACK_NS):
            # The mean rate of the container, which is the nominal one, may come from the jump.
            next_ns = self._last_ns + min(self._step_ns, self._last_step_ns or self._step_ns)
            self._origin_ns = pts_ns - next_ns
            return next_ns
        return now_ns if self._last_ns is None or gap_ns > 0 else self.next_ns


class LiveTimeline:
    """Media times of a live connection: from the PTS of the stream while they are plausible, else from the clock.

    A PTS has less jitter than an arrival time, but some servers send wrong ones. A PTS more than two seconds away from
    the time since connecting (the first RTCP report moves them) starts a new origin. After a smaller step back the PTS
    are unordered (seen with B-frames), and the clock is used for the rest of the connection.
    """

    def __init__(self) -> None:
        self._origin_ns: int | None = None
        self._trusted = True
        self._last_ns = -1

    def at(self, pts_ns: int | None, elapsed_ns: int) -> int:
        """Return the media time of the next frame.

        Args:
            pts_ns: Its PTS in nanoseconds of the stream's own time; None when it has none.
            elapsed_ns: Monotonic nanoseconds since the connection began.

        Returns:
            Nanoseconds, greater than all before.
        """
        now_ns = elapsed_ns
        if pts_ns is not None and self._trusted:
            now_ns = self._by_pts(pts_ns, elapsed_ns)
        self._last_ns = max(now_ns, self._last_ns + 1)
        return self._last_ns

    def _by_pts(self, pts_ns: int, elapsed_ns: int) -> int:
        if self._origin_ns is None or abs(pts_ns - self._origin_ns - elapsed_ns) > _TOLERANCE_NS:
            self._origin_ns = pts_ns - elapsed_ns
            return elapsed_ns
        now_ns = pts_ns - self._origin_ns
        self._trusted = now_ns > self._last_ns
        return now_ns if self._trusted else elapsed_ns


class Sampler:
    """Picks the frames to analyse: the first frame in each cell of a fixed grid in media time.

    Cells begin a quarter period early, so that a PTS rounded to milliseconds stays in the same cell. The grid begins at
    media time 0, so the mean rate does not drift.

    Args:
        fps: Frames to pick per second of media time, 0 for all.
    """

    def __init__(self, *, fps: float) -> None:
        if fps < 0:
            raise ValueError(f"analysis_fps must be 0 (every frame) or positive, got {fps}")
        self._per_megasecond = round(fps * 1_000_000)
        self._cell = -1

    def take(self, media_time_ns: int) -> bool:
        """Return True when the frame at this media time is to be analysed."""
        if not self._per_megasecond:
            return True
        scaled = media_time_ns * self._per_megasecond
        cell = (scaled + _SECOND_NS * 1_000_000 // 4) // (_SECOND_NS * 1_000_000)
        if cell == self._cell:
            return False
        self._cell = cell
        return True
