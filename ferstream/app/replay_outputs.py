"""What a replay writes: which files, whether their names fit, and the sinks that fill them."""

from __future__ import annotations

import secrets
import stat
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ferstream.app.assembly import REPLAY, encoder
from ferstream.app.broker import broker_for
from ferstream.app.recording_names import shown_name
from ferstream.app.recordings import Recording, real
from ferstream.app.sinks import mqtt_sink, network_sinks
from ferstream.capture.file_bytes import is_pipe
from ferstream.errors import ConfigError, OutputError
from ferstream.pipeline.models import Models
from ferstream.publishing.sink_set import SinkSet
from ferstream.runtime.counters import Counters
from ferstream.runtime.supervisor import Fatal
from ferstream.settings import Settings
from ferstream.sinks.jsonl import STDOUT, JsonlSink
from ferstream.sinks.table.sink import FORMATS, TableSink, check_table_path, tracks_path

VIDEO = ".mp4"
NODE_CHARS = 57
"""Length to which a node's name is cut before ``-replay`` is added; the longest name has 64 characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputOptions:
    """Where the results go.

    Attributes:
        events: File of JSON lines; ``-`` is stdout; None for none.
        table: Table of faces, ``.csv`` or ``.parquet``; None for none.
        video: Annotated video, or a folder of them; None for none.
        mqtt: Whether events are also published to the broker of the settings.
    """

    events: str | None = None
    table: Path | None = None
    video: Path | None = None
    mqtt: bool = False

    @property
    def files(self) -> tuple[Path, ...]:
        """Files and folders of results."""
        events = () if self.events in {None, STDOUT} else (Path(str(self.events)),)
        tables = () if self.table is None else (self.table, tracks_path(self.table))
        return (*events, *tables, *(() if self.video is None else (self.video,)))

    @property
    def can_be_continued(self) -> bool:
        """Whether all results are in files that a later process can go on with."""
        return bool(self.files) and self.events != STDOUT and all(_is_regular_or_new(path) for path in self.files)

    @property
    def asking_for_faces(self) -> str:
        """The first option that asks for single faces; empty if none does."""
        given = {"--events": self.events, "--table": self.table, "--video": self.video, "--mqtt": self.mqtt or None}
        return next((option for option, value in given.items() if value is not None), "")


def check_names(options: OutputOptions) -> None:
    """Check that the names of the results say what is in them.

    Raises:
        ConfigError: A name has the ending of something else, or Parquet files need a package that is not installed.
    """
    if options.events is not None:
        ending = Path(options.events).suffix.lower()
        if ending in FORMATS:
            raise ConfigError(f"--events writes JSON lines; for a table: --table {options.events}")
        if ending == VIDEO:
            raise ConfigError(f"--events writes JSON lines; for a video: --video {options.events}")
    if options.table is not None:
        if options.table.suffix.lower() in {".json", ".jsonl", ".ndjson"}:
            raise ConfigError(f"--table writes .csv or .parquet; for JSON lines: --events {options.table}")
        check_table_path(options.table)


def check_folders(options: OutputOptions) -> None:
    """Check that the folders of the results are there, before hours of work.

    Raises:
        OutputError: One is missing.
    """
    for path in options.files:
        if not path.parent.is_dir():
            raise OutputError(f"cannot write {path}: No such file or directory")


def video_paths(video: Path, recordings: Sequence[Recording]) -> dict[str, Path]:
    """Return the video of each recording by its camera; makes the folder if one is needed.

    Args:
        video: The option: a file for one recording, or a folder.
        recordings: The recordings.

    Raises:
        ConfigError: The name is not that of a video, the option names a file for several recordings, or a recording would be overwritten
            or can be read only once.
        OutputError: The folder cannot be made.
    """
    pipe = next((recording for recording in recordings if recording.info is None or is_pipe(recording.path)), None)
    if pipe is not None:
        raise ConfigError(f"--video reads a recording twice, and {shown_name(pipe.path)} is a pipe; write it to a file first")
    if video.suffix.lower() == VIDEO and not video.is_dir():
        if len(recordings) > 1:
            raise ConfigError(f"--video {video} is one file for {len(recordings)} recordings; give a folder")
        paths = {recordings[0].camera: video}
    elif video.is_file() or (video.suffix and not video.is_dir()):
        raise ConfigError(f"--video {video}: the name of a video ends in .mp4; without an ending it is a folder")
    else:
        _make_folder(video)
        paths = {recording.camera: video / f"{recording.camera}{VIDEO}" for recording in recordings}
    sources = {real(recording.path) for recording in recordings}
    overwritten = next((path for path in paths.values() if real(path) in sources), None)
    if overwritten is not None:
        raise ConfigError(f"--video would write over the recording {overwritten}; give another name or folder")
    return paths


@dataclass(frozen=True, slots=True)
class FileSinks:
    """The sinks that write files.

    Attributes:
        jsonl: Events; None for none.
        table: Tables; None for none.
    """

    jsonl: JsonlSink | None
    table: TableSink | None

    @property
    def data_files(self) -> dict[str, Path]:
        """Where the parts are that ``sync`` measures, by their names."""
        events = {} if self.jsonl is None else {"events": Path(self.jsonl.path)}
        return events | ({} if self.table is None else self.table.row_files)

    def sync(self) -> dict[str, int]:
        """Have everything on the disk; return sizes in bytes by name of the part, from which a later process can go on."""
        if self.table is not None:
            self.table.keep_unfinished()
        sizes = {} if self.jsonl is None else {"events": self.jsonl.sync()}
        tables = {} if self.table is None else self.table.sync()
        return sizes | tables


def file_sinks(options: OutputOptions, sizes: Mapping[str, int] | None, *, finishing: bool) -> FileSinks:
    """Make the sinks that write files.

    Args:
        options: Where the results go.
        sizes: What ``FileSinks.sync`` returned where an earlier process ended; None begins anew.
        finishing: Whether the earlier process was about to give the tables their names.
    """
    jsonl = None if options.events is None else JsonlSink(path=options.events, size=None if sizes is None else sizes["events"])
    table = None
    if options.table is not None:
        table = TableSink(path=options.table, sizes=sizes, may_be_finished=finishing)
    return FileSinks(jsonl, table)


def sink_sets(
    options: OutputOptions,
    settings: Settings,
    models: Models,
    recordings: Sequence[Recording],
    *,
    files: FileSinks,
    fatal: Fatal,
    stack: ExitStack,
) -> list[SinkSet]:
    """Make the sets of sinks of a replay.

    Args:
        options: Where the results go.
        settings: Those of the broker.
        models: The classifier is named in the events.
        recordings: Their files are named in the events.
        files: The sinks that write files.
        fatal: Ends the replay when a file cannot be written: events that cannot be written need not be computed.
        stack: Closes the embedded broker.
    """
    sources = {recording.camera: shown_name(recording.path) for recording in recordings}
    sets: list[SinkSet] = []
    sinks = [sink for sink in (files.jsonl, files.table) if sink is not None]
    if sinks:
        sets.append(
            SinkSet(
                encoder=encoder(models, node=REPLAY, boot_id=REPLAY, sources=sources),
                sinks=sinks,
                observer=Counters(),
                on_failure=fatal.report,
            )
        )
    if options.mqtt:
        broker = stack.enter_context(broker_for(settings, durable=False))
        beside = _beside_the_daemon(settings)
        # A new boot_id for each replay over MQTT: with the same one, subscribers would take a second replay for duplicates.
        sinks_of_network = network_sinks(
            beside,
            encoder=encoder(models, node=beside.node, boot_id=secrets.token_hex(8), sources=sources),
            observer=Counters(),
            durable=False,
            broker=broker,
            kinds=(mqtt_sink,),  # a webhook and Kafka were not asked for
        )
        sets.append(sinks_of_network)
    return sets


def _beside_the_daemon(settings: Settings) -> Settings:
    """Return the settings with another node and client id than those of a daemon with the same settings.

    With the same client id the broker would disconnect the daemon; with the same node, the end of the replay would be
    published as the end of the daemon.
    """
    node, client = f"{settings.node[:NODE_CHARS]}-{REPLAY}", settings.mqtt.client_id
    mqtt = settings.mqtt.model_copy(update={"client_id": f"{client}-{REPLAY}" if client else ""})
    return settings.model_copy(update={"node": node, "mqtt": mqtt})


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as exc:
        raise OutputError(f"cannot make the folder {folder}: {exc.strerror}") from exc


def _is_regular_or_new(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:
        return True
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)
