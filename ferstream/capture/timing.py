"""Media time that never goes back, and the choice of frames by it.

Pure arithmetic on integers, so that a recording gives the same times on every machine.
"""

from __future__ import annotations

_SECOND_NS = 1_000_000_000
_JUMP_NS = _SECOND_NS
_TOLERANCE_NS = 2 * _SECOND_NS


class MediaTimeline:
    """Turns the stamps of a stream into nanoseconds since its first frame, strictly increasing.

    A missing or repeated stamp continues by the nominal step. One that goes back by more than a second (a wrapped
    counter, joined recordings) starts a new origin; smaller steps back are jitter and are pushed forward.
    """

    def __init__(self, *, step_ns: int, start_ns: int = 0) -> None:
        if step_ns < 1 or start_ns < 0:
            raise ValueError(f"want step_ns >= 1 and start_ns >= 0, got {step_ns}, {start_ns}")
        self._step_ns, self._start_ns = step_ns, start_ns
        self._origin_ns: int | None = None
        self._last_ns: int | None = None

    @property
    def next_ns(self) -> int:
        """Where a frame without a stamp would be."""
        return self._start_ns if self._last_ns is None else self._last_ns + self._step_ns

    def at(self, stamp_ns: int | None) -> int:
        """Media time of the next frame.

        Args:
            stamp_ns: Its stamp in the stream's own time, None when it has none.

        Returns:
            Nanoseconds, more than all before.
        """
        now_ns = self._placed(stamp_ns)
        self._last_ns = now_ns
        return now_ns

    def _placed(self, stamp_ns: int | None) -> int:
        if stamp_ns is None:
            return self.next_ns
        if self._origin_ns is None:
            self._origin_ns = stamp_ns - self.next_ns
        now_ns = stamp_ns - self._origin_ns
        if self._last_ns is None or now_ns > self._last_ns:
            return now_ns
        if self._last_ns - now_ns > _JUMP_NS:
            self._origin_ns = stamp_ns - self.next_ns
        return self.next_ns


class LiveTimeline:
    """Media time of a live connection: the stream's stamps while they make sense, else the clock.

    Stamps have less jitter than arrivals, but not every server gets them right. More than two seconds away from
    the time since connecting (the first RTCP report moves them) they get a new origin; once they have gone back by
    less than that, they are in no order at all (seen with B-frames) and are not looked at any more.
    """

    def __init__(self) -> None:
        self._origin_ns: int | None = None
        self._trusted = True
        self._last_ns = -1

    def at(self, stamp_ns: int | None, elapsed_ns: int) -> int:
        """Media time of the next frame.

        Args:
            stamp_ns: Its stamp in the stream's own time, None when it has none.
            elapsed_ns: Monotonic nanoseconds since the connection began.

        Returns:
            Nanoseconds, more than all before.
        """
        now_ns = elapsed_ns
        if stamp_ns is not None and self._trusted:
            now_ns = self._by_stamp(stamp_ns, elapsed_ns)
        self._last_ns = max(now_ns, self._last_ns + 1)
        return self._last_ns

    def _by_stamp(self, stamp_ns: int, elapsed_ns: int) -> int:
        if self._origin_ns is None or abs(stamp_ns - self._origin_ns - elapsed_ns) > _TOLERANCE_NS:
            self._origin_ns = stamp_ns - elapsed_ns
            return elapsed_ns
        now_ns = stamp_ns - self._origin_ns
        self._trusted = now_ns > self._last_ns
        return now_ns if self._trusted else elapsed_ns


class Sampler:
    """Picks the frames to analyse: the first one of each cell of a fixed grid in media time.

    Cells begin a quarter period early, so that stamps rounded to milliseconds do not make the choice flutter. The
    grid is fixed to media time 0: the mean rate does not drift.
    """

    def __init__(self, *, fps: float) -> None:
        if fps < 0:
            raise ValueError(f"analysis_fps must be 0 (every frame) or positive, got {fps}")
        self._per_megasecond = round(fps * 1_000_000)
        self._cell = -1

    def take(self, media_time_ns: int) -> bool:
        """True when the frame at this media time is to be analysed."""
        if not self._per_megasecond:
            return True
        scaled = media_time_ns * self._per_megasecond
        cell = (scaled + _SECOND_NS * 1_000_000 // 4) // (_SECOND_NS * 1_000_000)
        if cell == self._cell:
            return False
        self._cell = cell
        return True
