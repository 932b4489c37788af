"""Finds out whether the machine is overloaded: the cameras ask for more frames than are analysed.

One thread calls ``update`` about once a second; any thread may read ``load``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from ferstream.runtime.clock import Clock


@dataclass(frozen=True, slots=True)
class CameraLoad:
    """Frames per second of one camera.

    Attributes:
        wanted_fps: Frames per second that it asks to be analysed.
        served_fps: Frames per second that were analysed and published.
    """

    wanted_fps: float
    served_fps: float

    @property
    def served_ratio(self) -> float:
        """Share of the wanted frames that were analysed, 0..1."""
        return min(1.0, self.served_fps / self.wanted_fps) if self.wanted_fps else 1.0


@dataclass(frozen=True, slots=True)
class Load:
    """The load at one moment.

    Attributes:
        cameras: The live cameras that deliver frames and were measured long enough, by name.
        overloaded_s: Seconds since the overload was found; None when there is none.
    """

    cameras: Mapping[str, CameraLoad] = field(default_factory=dict)
    overloaded_s: float | None = None

    @property
    def overloaded(self) -> bool:
        """Whether there is an overload."""
        return self.overloaded_s is not None

    @property
    def wanted_fps(self) -> float:
        """Frames per second that all cameras ask for."""
        return sum(camera.wanted_fps for camera in self.cameras.values())

    @property
    def served_fps(self) -> float:
        """Frames per second that are analysed and published."""
        return sum(camera.served_fps for camera in self.cameras.values())

    @property
    def served_ratio(self) -> float:
        """Share of the wanted frames that are analysed, 0..1; 1 without cameras."""
        served_fps = sum(camera.served_ratio * camera.wanted_fps for camera in self.cameras.values())
        return served_fps / self.wanted_fps if self.wanted_fps else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OverloadLimits:
    """When an overload begins and ends.

    Attributes:
        enter_below: Served share below which an overload begins.
        leave_above: Served share above which it ends.
        hold_s: Seconds for which the share must stay there.
        window_s: Seconds over which frames per second are measured.
    """

    enter_below: float = 0.9
    leave_above: float = 0.95
    hold_s: float = 10.0
    window_s: float = 5.0


class OverloadDetector:
    """Compares what the cameras ask for with what is published."""

    def __init__(self, *, clock: Clock, limits: OverloadLimits | None = None) -> None:
        """Start without an overload.

        Args:
            clock: Monotonic time.
            limits: When an overload begins and ends.
        """
        self._clock, self._limits = clock, limits or OverloadLimits()
        self._published: dict[str, deque[tuple[int, int]]] = {}
        self._since_ns: int | None = None
        self._crossed_ns: int | None = None
        self.load = Load()
        """The load at the last ``update``."""

    def update(self, *, wanted_fps: Mapping[str, float], published: Mapping[str, int]) -> Load:
        """Measure; return the new load.

        Args:
            wanted_fps: Frames per second that each live camera asks for; only cameras that deliver frames now.
            published: Frames of each camera that were published since the start.
        """
        now_ns = self._clock.monotonic_ns()
        served = self._served_fps(now_ns, {name: published.get(name, 0) for name in wanted_fps})
        cameras = {name: CameraLoad(wanted_fps[name], fps) for name, fps in served.items()}
        self._decide(now_ns, Load(cameras).served_ratio)
        overloaded_s = None if self._since_ns is None else (now_ns - self._since_ns) / 1e9
        self.load = Load(cameras, overloaded_s)
        return self.load

    def _served_fps(self, now_ns: int, published: Mapping[str, int]) -> dict[str, float]:
        """Return the rate of each camera that was there for half a window or longer; forget cameras that are gone."""
        window_ns = self._limits.window_s * 1e9
        self._published = {name: self._published.get(name, deque()) for name in published}
        rates = {}
        for name, counts in self._published.items():
            counts.append((now_ns, published[name]))
            while len(counts) > 2 and now_ns - counts[1][0] >= window_ns:
                counts.popleft()
            since_ns, count = counts[0]
            if now_ns - since_ns >= window_ns / 2:
                rates[name] = (published[name] - count) / (now_ns - since_ns) * 1e9
        return rates

    def _decide(self, now_ns: int, served_ratio: float) -> None:
        """Begin or end an overload when the share has been on the other side of its limit for long enough."""
        if self._since_ns is None:
            crossed = served_ratio < self._limits.enter_below
        else:
            crossed = served_ratio > self._limits.leave_above
        if not crossed:
            self._crossed_ns = None
        elif self._crossed_ns is None:
            self._crossed_ns = now_ns
        elif now_ns - self._crossed_ns >= self._limits.hold_s * 1e9:
            self._since_ns = now_ns if self._since_ns is None else None
            self._crossed_ns = None
