"""A real HTTP server with the routes of uploads and of the login, whose worker processes a test scripts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ferstream.runtime.counters import Counters
from ferstream.telemetry.access_policy import access_to
from ferstream.telemetry.collector import build_registry
from ferstream.telemetry.path_rules import PathRule
from ferstream.telemetry.readings import BuildInfo, Readings
from ferstream.telemetry.server import TelemetryServer
from ferstream.web.body import BodyLimits
from ferstream.web.recording import RecordingTimings
from ferstream.web.recording_routes import RECORDINGS, recording_routes
from ferstream.web.recordings import Recordings
from ferstream.web.scratch import Scratch
from ferstream.web.still_worker import StillTimings, StillWorker
from ferstream.web.stills import STILLS, still_routes
from ferstream.web.worker import Worker, WorkerPlan
from tests.support import scripted_worker
from tests.support.telemetry import FINE, TOKEN, ask
from tests.support.threads import wait_until

MAX_BYTES = 1 << 20


@dataclass(kw_only=True)
class UploadRig:
    """The parts of a server with uploads.

    Attributes:
        folder: Scratch folder.
        plan: How workers are started.
        token: Token of the server, or None.
        free: Free space of the scratch folder, in bytes.
        refusal: Why uploads are refused.
        limits: Size and speed of bodies.
        recording: Time limits of recordings.
        still: Time limits of pictures.
    """

    folder: Path
    plan: WorkerPlan = field(default_factory=scripted_worker.plan)
    token: str | None = None
    free: int = 1 << 40
    refusal: str = ""
    limits: BodyLimits = field(default_factory=lambda: BodyLimits(max_bytes=MAX_BYTES))
    recording: RecordingTimings = field(default_factory=RecordingTimings)
    still: StillTimings = field(default_factory=StillTimings)
    workers: list[Worker] = field(default_factory=list)

    def new_worker(self) -> Worker:
        """Start a worker process and remember it."""
        worker = Worker(self.plan)
        self.workers.append(worker)
        return worker

    @contextmanager
    def serving(self) -> Iterator[UploadServer]:
        """Run the server within the context."""
        scratch = Scratch(self.folder, reserve_bytes=1000, free=lambda _: self.free)
        stills = StillWorker(self.new_worker, timings=self.still)
        recordings = Recordings(scratch, self.new_worker, tables=("csv",), timings=self.recording)
        routes = [
            *still_routes(stills, refusal=lambda: self.refusal, limits=self.limits),
            *recording_routes(recordings, refusal=lambda: self.refusal, limits=self.limits),
        ]
        rules = [PathRule(path=path, max_body_bytes=self.limits.max_bytes) for path in (STILLS, RECORDINGS)]
        readings = Readings(snapshot=Counters().snapshot, cameras=list, build=lambda: BuildInfo("1", "m", "b"))
        server = TelemetryServer(
            listen="127.0.0.1:0",
            registry=build_registry(readings),
            health=lambda: FINE,
            ready=lambda: FINE,
            access=access_to("127.0.0.1:0", token=self.token, paths=rules),
            routes=routes,
        )
        server.start()
        try:
            yield UploadServer(server, stills, recordings)
        finally:
            stills.close()
            recordings.close()
            server.stop(20)


@dataclass
class UploadServer:
    """A running server; requests carry the token.

    Attributes:
        server: The HTTP server.
        stills: Behind ``/api/1/stills``.
        recordings: Behind ``/api/1/recordings``.
    """

    server: TelemetryServer
    stills: StillWorker
    recordings: Recordings

    def ask(
        self, path: str, *, method: str = "GET", body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], Any]:
        """Send one request; return status, headers and the JSON (or text) of the answer."""
        status, given, text = ask(
            self.server, path, method=method, body=body, headers={"authorization": f"Bearer {TOKEN}"} | (headers or {})
        )
        return status, given, json.loads(text) if given.get("content-type") == "application/json" else text

    def still(self, body: bytes = b"picture", kind: str = "image/jpeg") -> tuple[int, dict[str, str], Any]:
        """Send a picture."""
        return self.ask(STILLS, method="POST", body=body, headers={"content-type": kind})

    def upload(self, body: bytes = b"video", name: str = "clip.mp4", kind: str = "video/mp4") -> tuple[int, dict[str, str], Any]:
        """Send a recording."""
        return self.ask(f"{RECORDINGS}?name={name}", method="POST", body=body, headers={"content-type": kind})

    def finished(self, recording: str) -> Any:
        """Wait until a recording is no longer analysed; return its state."""
        wait_until(lambda: not self.recordings.find(recording).is_running)
        return self.ask(f"{RECORDINGS}/{recording}")[2]
