"""What a run of an archive reports while it works. Immutable values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProgress:
    """How far a run is.

    Attributes:
        frames: Pictures of the plan that are analysed, by this run and those before.
        all_frames: Pictures of the plan; those of recordings that are not divided are estimated.
        recordings: Recordings that are analysed or have failed.
        all_recordings: Recordings of the plan.
        frames_per_s: Rate of this run; 0 as long as nothing is measured.
        remaining_s: Time left; None as long as nothing is measured.
        alive: Workers that are ready.
        workers: All workers.
        retries: Attempts that were repeated.
    """

    frames: int
    all_frames: int
    recordings: int
    all_recordings: int
    frames_per_s: float
    remaining_s: float | None
    alive: int
    workers: int
    retries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHooks:
    """What a run calls; the thread that called ``run_archive``.

    Attributes:
        on_progress: Called several times a second.
        on_notice: Called with one line that people want to know.
    """

    on_progress: Callable[[RunProgress], None] = lambda progress: None
    on_notice: Callable[[str], None] = lambda text: None
