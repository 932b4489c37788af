"""Joins the uploads of the page: worker processes, the scratch folder, the routes, and what they need of the settings."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ferstream.app.factories import cores
from ferstream.settings import Settings, state_directory
from ferstream.telemetry.path_rules import PathRule
from ferstream.web.body import BodyLimits
from ferstream.web.recording import RecordingTimings
from ferstream.web.recording_routes import RECORDINGS, recording_routes
from ferstream.web.recordings import Recordings
from ferstream.web.scratch import Scratch
from ferstream.web.still_worker import StillTimings, StillWorker
from ferstream.web.stills import MAX_STILL_BYTES, STILLS, still_routes
from ferstream.web.worker import Worker, WorkerPlan
from ferstream.web.worker_protocol import Json

SCRATCH = "uploads"
"""Name of the scratch folder in the state folder."""
MEMORY_BYTES = 1024 << 20
"""Most memory that a worker process may allocate; a picture of 64 million pixels needs two thirds of it."""
_ENVIRONMENT = frozenset(
    {"PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "XDG_CACHE_HOME", "MPLCONFIGDIR", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH"}
)
"""Variables that a worker process gets; the daemon's own may hold secrets."""

_ADDED = {
    "CUDA_VISIBLE_DEVICES": "-1",
    "ARROW_DEFAULT_MEMORY_POOL": "system",  # its own one reserves a gigabyte
}
"""Variables that only a worker process has."""


class Uploads:
    """Stills and recordings of one daemon: nothing runs before the first upload.

    Attributes:
        max_bytes: Longest upload; 0 = none is accepted. Like ``aggregate_only``, it holds until the daemon ends.

    Args:
        settings: Returns the settings in force.
        model: Name and version of the daemon's classifier, which uploads get too.
        scratch: Where recordings wait; by default the state folder.
        stills: Time limits of pictures.
        recordings: Time limits of recordings.
    """

    def __init__(
        self,
        settings: Callable[[], Settings],
        *,
        model: str,
        scratch: Scratch | None = None,
        stills: StillTimings | None = None,
        recordings: RecordingTimings | None = None,
    ) -> None:
        self._settings, at_start = settings, settings()
        self._aggregate_only, self.max_bytes = at_start.privacy.aggregate_only, at_start.http.max_upload_bytes
        new_worker = partial(Worker, worker_plan(settings(), model=model))
        self.stills = StillWorker(new_worker, timings=stills)
        self.recordings = Recordings(
            scratch or Scratch(state_directory() / SCRATCH), new_worker, tables=tables(), timings=recordings or RecordingTimings()
        )

    def refusal(self) -> str:
        """Return why uploads are refused now; empty if they are not."""
        if self._aggregate_only or self._settings().privacy.aggregate_only:
            return "privacy.aggregate_only is set: results of single faces are not shown; use ferstream predict or replay elsewhere"
        return "" if self.max_bytes else "uploads are switched off by http.max_upload_bytes = 0"

    def state(self) -> Json:
        """Return what a page needs to know about uploads: ``uploads`` of ``/api/1/state``."""
        allowed = not self.refusal()
        return {"stills": allowed, "recordings": allowed, "max_bytes": self.max_bytes, "tables": list(self.recordings.tables)}

    def routes(self) -> list[Any]:
        """Return Starlette's routes of uploads."""
        stills, recordings = (BodyLimits(max_bytes=rule.max_body_bytes) for rule in self.path_rules())
        return [
            *still_routes(self.stills, refusal=self.refusal, limits=stills),
            *recording_routes(self.recordings, refusal=self.refusal, limits=recordings),
        ]

    def path_rules(self) -> tuple[PathRule, PathRule]:
        """Return the size limits of stills and recordings for the guard of the HTTP server."""
        return (
            PathRule(path=STILLS, max_body_bytes=min(MAX_STILL_BYTES, self.max_bytes)),
            PathRule(path=RECORDINGS, max_body_bytes=self.max_bytes),
        )

    def close(self) -> None:
        """End all worker processes and delete all files."""
        self.stills.close()
        self.recordings.close()


def tables() -> tuple[str, ...]:
    """Return the kinds of tables that can be made here: Parquet needs a package that is optional."""
    return ("csv", "parquet") if importlib.util.find_spec("pyarrow") is not None else ("csv",)


def worker_plan(settings: Settings, *, model: str, environment: Mapping[str, str] | None = None) -> WorkerPlan:
    """Return how worker processes are started.

    They analyse on the CPU: a GPU belongs to the cameras.

    Args:
        settings: The daemon's settings.
        model: Name and version of its classifier, for ``inference.model = "auto"``.
        environment: The daemon's environment; None for that of this process.
    """
    inference, detection = settings.inference, settings.detection
    named = model if inference.model == "auto" else inference.model
    cpu = {
        "detection": detection.model_copy(update={"device": "CPU", "workers": max(1, cores() // 2)}).model_dump(mode="json"),
        "inference": inference.model_copy(update={"model": named, "device": "CPU", "threads": 1}).model_dump(mode="json"),
        "tracking": settings.tracking.model_dump(mode="json"),
    }
    given = os.environ if environment is None else environment
    return WorkerPlan(
        command=(sys.executable, "-P", "-m", "ferstream.app.upload_worker"),
        environment={key: value for key, value in given.items() if key in _ENVIRONMENT} | _ADDED,
        setup={"settings": cpu, "memory_bytes": MEMORY_BYTES},
    )
