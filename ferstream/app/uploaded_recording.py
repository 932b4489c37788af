"""The analysis of an uploaded recording, inside the worker process: a replay into files that have no names."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from ferstream.app.assembly import REPLAY, encoder, engine, replay_mode
from ferstream.app.recording_names import camera_name
from ferstream.app.recordings import probe
from ferstream.app.replayer import Replayer
from ferstream.domain.message import Message
from ferstream.domain.ports import SinkStatus
from ferstream.errors import OutputError
from ferstream.events.schemas import FACE
from ferstream.publishing.sink_set import SinkSet
from ferstream.runtime.counters import Counters
from ferstream.runtime.supervisor import Fatal
from ferstream.settings import Settings
from ferstream.sinks.table.columns import FACE_COLUMNS
from ferstream.sinks.table.parquet import write_parquet
from ferstream.sinks.table.rows import RowFile
from ferstream.web.timeline import Timeline
from ferstream.web.worker_protocol import Json

REPORT_S = 0.5
"""Seconds between two reports of the progress."""


class ResultsSink:
    """Writes the face events of a recording as JSON lines and as rows of a table, and collects its timeline. Publishing thread."""

    name = "results"

    def __init__(self, events: Path, rows: Path | None) -> None:
        """Keep the paths; ``open`` opens the files.

        Args:
            events: File of the JSON lines.
            rows: File of the table as CSV; None for no table.
        """
        self.timeline = Timeline()
        self._path = events
        self._events: IO[bytes] | None = None
        self._rows = None if rows is None else RowFile(rows, FACE_COLUMNS)

    def open(self) -> None:
        """Open the files."""
        self._events = self._path.open("wb", buffering=1 << 16)
        if self._rows is not None:
            self._rows.open()

    def write(self, message: Message) -> None:
        """Write a face event; other messages are ignored.

        Raises:
            OutputError: The disk is full.
        """
        if message.schema != FACE or self._events is None:
            return
        event = json.loads(message.payload)
        try:
            self._events.write(message.payload + b"\n")
            if self._rows is not None:
                self._rows.write(event)
        except OSError as exc:
            raise _unwritten(exc) from exc
        self.timeline.add(event)

    def flush(self, timeout_s: float) -> int:
        """Hand everything to the system; always 0, because what cannot be written raises. ``timeout_s`` is not used.

        Raises:
            OutputError: The disk is full.
        """
        try:
            if self._events is not None:
                self._events.flush()
            if self._rows is not None:
                self._rows.flush()
        except OSError as exc:
            raise _unwritten(exc) from exc
        return 0

    def close(self) -> None:
        """Close the files.

        Raises:
            OutputError: The disk is full.
        """
        events, self._events = self._events, None
        try:
            if events is not None:
                events.close()
            if self._rows is not None:
                self._rows.close()
        except OSError as exc:
            raise _unwritten(exc) from exc

    def status(self) -> SinkStatus:
        """Return that nothing is wrong: the replay ends at the first error."""
        return SinkStatus(self.name)


def analyse_recording(
    video: Path,
    events: Path,
    timeline: Path,
    *,
    tables: Mapping[str, Path],
    name: str,
    settings: Settings,
    report: Callable[[Json], None],
) -> Json:
    """Replay a recording into its results; return the numbers of frames.

    The events are those of ``ferstream replay`` with the same settings and a file of that name, byte for byte.

    Args:
        video: The recording.
        events: File of the JSON lines.
        timeline: File of the timeline.
        tables: File of each table: ``csv``, ``parquet``. Parquet is made from CSV.
        name: Name of the uploaded file.
        settings: How faces are found, followed and classified.
        report: Called about twice a second with the frames so far and in all.

    Raises:
        SourceError: It is no recording, or cannot be read to its end.
        FerstreamError: A stage failed, or the results cannot be written.
    """
    info = probe(video)
    camera, fatal = camera_name(Path(name)), Fatal()
    sink = ResultsSink(events, tables.get("csv"))
    progress = _Progress(report)
    with engine(
        settings,
        mode=replay_mode(settings),
        make_outputs=lambda models: [
            SinkSet(
                encoder=encoder(models, node=REPLAY, boot_id=REPLAY, sources={camera: name}),
                sinks=(sink,),
                observer=Counters(),
                on_failure=fatal.report,
            )
        ],
        fatal=fatal,
    ) as made:
        outcome = Replayer(engine=made, on_progress=progress).replay(video, info, camera=camera)
    found = sink.timeline.as_json(duration_s=info.duration_s or 0.0, width=info.width, height=info.height)
    try:
        timeline.write_text(json.dumps(found, separators=(",", ":")), encoding="utf-8")
        if "parquet" in tables:
            write_parquet(tables["csv"], FACE_COLUMNS, tables["parquet"])
    except OSError as exc:
        raise _unwritten(exc) from exc
    return {"frames": outcome.frames, "total": outcome.frames, "lost": outcome.lost}


class _Progress:
    """Reports the progress, not more often than needed."""

    def __init__(self, report: Callable[[Json], None]) -> None:
        self._report, self._next = report, 0.0

    def __call__(self, camera: str, done: int, total: int | None) -> None:
        """Take what the replay says."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + REPORT_S
            self._report({"frames": done, "total": total})


def _unwritten(exc: OSError) -> OutputError:
    return OutputError(f"the results cannot be written: {exc.strerror or exc}")
