"""Is the process alive, is it ready: decided here, shown by the server, acted on by the watchdog.

A stage beats when it finishes an item and whenever it wakes from waiting for one, so a beat that
grows old means a stage that is stuck inside its work, not one that has nothing to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ferstream.runtime.clock import Clock, SystemClock


@dataclass(frozen=True, slots=True)
class Check:
    """One question and its answer; ``detail`` is one line for people and never holds a secret."""

    name: str
    ok: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """The answers to all questions."""

    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether every check passed."""
        return all(check.ok for check in self.checks)

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the checks that did not pass."""
        return tuple(check.name for check in self.checks if not check.ok)

    def as_json(self) -> dict[str, object]:
        """A value for ``json.dumps``: status, the names that failed, and every check."""
        return {
            "status": "ok" if self.ok else "unavailable",
            "failed": list(self.failed),
            "checks": {check.name: {"ok": check.ok, "detail": check.detail} for check in self.checks},
        }


class Heartbeats:
    """Tells fresh beats from stale ones. Any thread may call.

    Args:
        beats: Monotonic nanoseconds of each stage's last beat; a stage that ended on purpose is absent.
        stale_after_s: Age above which a beat is stale.
        clock: The clock the beats were taken with.
    """

    def __init__(self, *, beats: Callable[[], Mapping[str, int]], stale_after_s: float, clock: Clock | None = None) -> None:
        if stale_after_s <= 0:
            raise ValueError(f"want stale_after_s > 0, got {stale_after_s}")
        self._beats = beats
        self._stale_after_s = stale_after_s
        self._clock = clock or SystemClock()

    def stale(self, *, not_before_ns: int = 0) -> dict[str, float]:
        """Stages whose last beat is too old, with its age in seconds; the oldest first.

        Time before ``not_before_ns`` (monotonic) does not count against anyone.
        """
        grace_s = max(0, self._clock.monotonic_ns() - not_before_ns) / 1e9
        ages = {stage: age for stage, age in self.ages().items() if min(age, grace_s) > self._stale_after_s}
        return dict(sorted(ages.items(), key=lambda item: -item[1]))

    def ages(self) -> dict[str, float]:
        """Seconds since each stage's last beat."""
        now = self._clock.monotonic_ns()
        return {stage: max(0, now - at) / 1e9 for stage, at in self._beats().items()}

    def report(self) -> Report:
        """One check per stage, for ``/healthz``."""
        limit = self._stale_after_s
        return Report(
            tuple(
                Check(f"stage:{stage}", age <= limit, f"last beat {age:.1f} s ago, limit {limit:g} s")
                for stage, age in sorted(self.ages().items())
            )
        )


def camera_check(cameras_up: Mapping[str, bool]) -> Check:
    """Ready needs at least one camera that delivers; says which are down."""
    down = sorted(name for name, up in cameras_up.items() if not up)
    up = len(cameras_up) - len(down)
    detail = f"{up} of {len(cameras_up)} up" + (f"; down: {', '.join(down)}" if down else "")
    return Check("cameras", up > 0, detail)


def readiness(checks: Iterable[Callable[[], Check]]) -> Callable[[], Report]:
    """Join independent checks into what ``/readyz`` asks."""
    fixed = tuple(checks)
    return lambda: Report(tuple(check() for check in fixed))
