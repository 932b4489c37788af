"""Health and readiness of the process, from heartbeats and checks.

A stage records a heartbeat when it finishes an item and whenever it wakes from waiting for one. An old heartbeat
therefore means a stage that hangs inside its work, not one that has nothing to do. Any thread may call this module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ferstream.runtime.clock import Clock, SystemClock


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check.

    Attributes:
        name: Name of the check, e.g. ``stage:inference`` or ``cameras``.
        ok: Whether the check passed.
        detail: One line for people; never contains a secret.
        degraded: Whether it passed with less than full service; the process works, and is not to be restarted.
    """

    name: str
    ok: bool
    detail: str = ""
    degraded: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """The results of several checks."""

    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether every check passed."""
        return all(check.ok for check in self.checks)

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the checks that did not pass."""
        return tuple(check.name for check in self.checks if not check.ok)

    @property
    def degraded(self) -> tuple[str, ...]:
        """Names of the checks that passed with less than full service."""
        return tuple(check.name for check in self.checks if check.ok and check.degraded)

    @property
    def status(self) -> str:
        """``ok``, ``degraded`` or ``unavailable``."""
        if not self.ok:
            return "unavailable"
        return "degraded" if self.degraded else "ok"

    def as_json(self) -> dict[str, object]:
        """Return a value for ``json.dumps``: status, names of the failed and degraded checks, and every check with its detail."""
        return {
            "status": self.status,
            "failed": list(self.failed),
            "degraded": list(self.degraded),
            "checks": {check.name: {"ok": check.ok, "detail": check.detail} for check in self.checks},
        }


class Heartbeats:
    """Finds stages whose last heartbeat is too old.

    Args:
        beats: Returns the monotonic time of each stage's last heartbeat in nanoseconds; stages that ended are absent.
        stale_after_s: Age in seconds above which a heartbeat is stale.
        clock: The clock of ``beats``.
    """

    def __init__(self, *, beats: Callable[[], Mapping[str, int]], stale_after_s: float, clock: Clock | None = None) -> None:
        if stale_after_s <= 0:
            raise ValueError(f"want stale_after_s > 0, got {stale_after_s}")
        self._beats = beats
        self._stale_after_s = stale_after_s
        self._clock = clock or SystemClock()

    def stale(self, *, not_before_ns: int = 0) -> dict[str, float]:
        """Return the stages whose last heartbeat is too old, with its age in seconds; the oldest first.

        Args:
            not_before_ns: Monotonic time; time before it does not count as age (the process was suspended).
        """
        grace_s = max(0, self._clock.monotonic_ns() - not_before_ns) / 1e9
        ages = {stage: age for stage, age in self.ages().items() if min(age, grace_s) > self._stale_after_s}
        return dict(sorted(ages.items(), key=lambda item: -item[1]))

    def ages(self) -> dict[str, float]:
        """Return the seconds since each stage's last heartbeat."""
        now = self._clock.monotonic_ns()
        return {stage: max(0, now - at) / 1e9 for stage, at in self._beats().items()}

    def report(self) -> Report:
        """Return one check per stage, for ``/healthz``."""
        limit = self._stale_after_s
        return Report(
            tuple(
                Check(f"stage:{stage}", age <= limit, f"last beat {age:.1f} s ago, limit {limit:g} s")
                for stage, age in sorted(self.ages().items())
            )
        )


def camera_check(cameras_up: Mapping[str, bool]) -> Check:
    """Return a check that passes when at least one camera delivers frames; its detail names those that do not."""
    down = sorted(name for name, up in cameras_up.items() if not up)
    up = len(cameras_up) - len(down)
    detail = f"{up} of {len(cameras_up)} up" + (f"; down: {', '.join(down)}" if down else "")
    return Check("cameras", up > 0, detail)


def readiness(checks: Iterable[Callable[[], Check]]) -> Callable[[], Report]:
    """Return a function that runs all checks and reports their results, for ``/readyz``."""
    all_checks = tuple(checks)
    return lambda: Report(tuple(check() for check in all_checks))
