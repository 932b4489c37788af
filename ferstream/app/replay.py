"""The command ``replay``: finds the recordings, replays one after the other into the results, and goes on where it was interrupted."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ferstream import __version__
from ferstream.app.assembly import Engine, engine, replay_mode
from ferstream.app.checkpoint import FORMAT, Checkpoint, FinishedRecording, Progress, check_results, checkpoint_path, identity_of_file
from ferstream.app.pictures import picture_options
from ferstream.app.privacy import camera_of_recording, masks_of_recording, refuse_single_faces
from ferstream.app.recording_names import camera_name, camera_names, shown_name
from ferstream.app.recordings import FoundRecordings, Recording, find_recordings, probe
from ferstream.app.replay_outputs import FileSinks, OutputOptions, check_folders, check_names, file_sinks, sink_sets, video_paths
from ferstream.app.replayer import Outcome, Replayer, VideoOptions
from ferstream.app.signals import stopping
from ferstream.capture.geometry import AS_THE_SOURCE_SAYS
from ferstream.errors import BrokerError, ConfigError, FramesLostError
from ferstream.inference.bundle import load_bundle
from ferstream.pipeline.models import Models
from ferstream.publishing.sink_set import SinkSet
from ferstream.runtime.printable import printable
from ferstream.runtime.program import command
from ferstream.runtime.redaction import redact_source
from ferstream.runtime.supervisor import Fatal
from ferstream.settings import Settings, load_settings

__all__ = [
    "NO_FILE",
    "Outcome",
    "ReplayHooks",
    "ReplayOptions",
    "Replayer",
    "camera_name",
    "camera_names",
    "probe",
    "replay_all",
    "shown_name",
]

NO_FILE = Path(os.devnull)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOptions:
    """The options of ``ferstream replay``; see its ``--help``."""

    videos: tuple[Path, ...]
    events: str | None = None
    table: Path | None = None
    video: Path | None = None
    blur: bool = False
    points: bool = False
    resume: bool = False
    config: Path | None = None
    model: str | None = None
    fps: float = 0.0
    speed: float = 0.0
    max_hz: float = 0.0
    mqtt: bool = False
    camera: str | None = None
    start_ns: int | None = None

    @property
    def outputs(self) -> OutputOptions:
        """Where the results go."""
        return OutputOptions(events=self.events, table=self.table, video=self.video, mqtt=self.mqtt)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayHooks:
    """What a replay reports while it runs; main thread.

    Attributes:
        on_progress: Called with (camera, analysed frames, all frames or None).
        on_found: Called with the recordings that are replayed and the errors of those that cannot be read.
        on_resumed: Called with the recordings that an earlier process has finished; none if ``--resume`` found nothing to go on with.
        on_outcome: Called with the result of each recording.
    """

    on_progress: Callable[[str, int, int | None], None] = lambda camera, done, total: None
    on_found: Callable[[FoundRecordings], None] = lambda found: None
    on_resumed: Callable[[Sequence[FinishedRecording]], None] = lambda finished: None
    on_outcome: Callable[[Outcome], None] = lambda outcome: None


def replay_all(
    options: ReplayOptions, *, on_progress: Callable[[str, int, int | None], None] | None = None, hooks: ReplayHooks | None = None
) -> list[Outcome]:
    """Replay recordings one after the other into the results of the options.

    Args:
        options: The options.
        on_progress: That of ``ReplayHooks``, where nothing else is asked for.
        hooks: What is reported.

    Returns:
        The results of the recordings that this process replayed.

    Raises:
        FerstreamError: The first thing that cannot be done; see ``Replayer.replay``.
    """
    hooks = hooks or ReplayHooks(on_progress=on_progress or ReplayHooks().on_progress)
    settings = _checked_settings(options)
    outputs = options.outputs
    # Reports an unreadable file before models are loaded and other files replayed. A pipe cannot be read twice.
    found = find_recordings(options.videos, leave_out=outputs.files)
    if options.start_ns is not None and len(found.recordings) > 1:
        raise ConfigError("--start is the time of one recording; replay the others with a --start of their own")
    videos = {} if options.video is None else video_paths(options.video, found.recordings)
    hooks.on_found(found)
    run = _Run(options, settings, found.recordings, videos, hooks)
    with ExitStack() as stack:
        fatal = Fatal()
        made = stack.enter_context(
            engine(
                settings,
                mode=replay_mode(settings, max_hz_per_face=options.max_hz),
                make_outputs=lambda models: run.open_outputs(models, fatal, stack),
                fatal=fatal,
            )
        )
        outcomes = run.replay(made)
        undelivered = _undelivered(made.outputs, settings.runtime.shutdown_timeout_s)
        if undelivered:
            raise BrokerError(f"{undelivered} events did not reach {redact_source(settings.mqtt.url)}; {command('check')} says why")
    return outcomes


class _Run:
    """One run of the command over its recordings."""

    def __init__(
        self, options: ReplayOptions, settings: Settings, recordings: Sequence[Recording], videos: dict[str, Path], hooks: ReplayHooks
    ) -> None:
        """Keep the parts.

        Raises:
            ConfigError: The replay is to go on, and its results cannot be continued.
        """
        self._options, self._settings, self._recordings, self._videos, self._hooks = options, settings, recordings, videos, hooks
        self._files = FileSinks(None, None)
        self._checkpoint: Checkpoint | None = None
        self._can_be_continued = options.outputs.can_be_continued and all(recording.info is not None for recording in recordings)
        if options.resume and not self._can_be_continued:
            raise ConfigError("--resume goes on with files: give --events FILE, --table or --video, and recordings that are files")

    def open_outputs(self, models: Models, fatal: Fatal, stack: ExitStack) -> list[SinkSet]:
        """Make the sinks; with ``--resume``, those that go on where an earlier process ended."""
        progress = self._read_checkpoint(models)
        self._files = file_sinks(
            self._options.outputs,
            None if progress is None else progress.sizes,
            finishing=progress is not None and progress.finishing,
        )
        return sink_sets(self._options.outputs, self._settings, models, self._recordings, files=self._files, fatal=fatal, stack=stack)

    def replay(self, made: Engine) -> list[Outcome]:
        """Replay the recordings that are not finished, and finish the tables."""
        replayer = self._replayer(made)
        done = 0 if self._checkpoint is None else len(self._checkpoint.progress.finished)
        outcomes = []
        with stopping(replayer.stop):
            for recording in self._recordings[done:]:
                outcomes.append(self._replay_one(replayer, recording))
                self._hooks.on_outcome(outcomes[-1])
        if self._files.table is not None:
            self._files.table.finish()
        if self._checkpoint is not None:
            self._checkpoint.remove()
        return outcomes

    def _replay_one(self, replayer: Replayer, recording: Recording) -> Outcome:
        """Replay one recording and note that it is finished."""
        video = self._videos.get(recording.camera)
        drawn = None if video is None else VideoOptions(path=video, blur=self._options.blur, points=self._options.points)
        try:
            outcome = replayer.replay(recording.path, recording.info, camera=recording.camera, video=drawn)
        except FramesLostError as exc:
            if self._checkpoint is None or not self._checkpoint.progress.finished:
                raise
            raise FramesLostError(f"{exc}; the same command with --resume goes on") from exc
        self._note(outcome, video)
        return outcome

    def _replayer(self, made: Engine) -> Replayer:
        made_by = camera_of_recording(self._settings, self._options.camera)
        return Replayer(
            engine=made,
            analysis_fps=self._options.fps,
            speed=self._options.speed,
            start_ns=self._options.start_ns,
            masks=masks_of_recording(self._settings, self._options.camera),
            picture=AS_THE_SOURCE_SAYS if made_by is None else picture_options(made_by),
            on_progress=self._hooks.on_progress,
        )

    def _read_checkpoint(self, models: Models) -> Progress | None:
        """Return how far an earlier process came, if this one is to go on and there was one."""
        outputs = self._options.outputs
        if not self._can_be_continued:
            return None
        path = checkpoint_path(outputs.files)
        self._checkpoint = Checkpoint(path, _identity(self._options, self._settings, self._recordings, models))
        progress = None
        if self._options.resume:
            progress = self._checkpoint.read()
            self._hooks.on_resumed(() if progress is None else progress.finished)
        else:
            self._checkpoint.remove()
        if progress is not None:
            files = file_sinks(outputs, progress.sizes, finishing=progress.finishing).data_files
            check_results(progress, files, self._videos)
        return progress

    def _note(self, outcome: Outcome, video: Path | None) -> None:
        """Have the events of a recording on the disk, and note that it is finished."""
        if self._checkpoint is None:
            return
        size = None if video is None else video.stat().st_size
        is_last = outcome.camera == self._recordings[-1].camera
        finished = FinishedRecording(outcome.camera, outcome.lost, size)
        self._checkpoint.add(finished, self._files.sync(), self._files.data_files, finishing=is_last)


def _identity(options: ReplayOptions, settings: Settings, recordings: Sequence[Recording], models: Models) -> dict[str, Any]:
    """Return what decides about every byte of the results."""
    made_by = camera_of_recording(settings, options.camera)
    sections = settings.model_dump(mode="json", include={"detection", "tracking", "inference"})
    picture = None if made_by is None else made_by.model_dump(mode="json", include={"masks", "rotate", "mirror", "pixel_aspect"})
    classifier = models.classifier
    chosen = settings.inference.model
    bundle = load_bundle(f"{classifier.name}/{classifier.version}" if chosen == "auto" else chosen)
    return {
        "format": FORMAT,
        "recordings": [identity_of_file(recording) for recording in recordings],
        "ferstream": __version__,
        "model": f"{classifier.name}/{classifier.version} on {classifier.backend}",
        "files of the model": hashlib.sha256(json.dumps(dict(bundle.manifest.files), sort_keys=True).encode()).hexdigest(),
        "options": {
            "--events": options.events,
            "--table": None if options.table is None else str(options.table),
            "--video": None if options.video is None else str(options.video),
            "--blur": options.blur,
            "--points": options.points,
            "--fps": options.fps,
            "--max-hz": options.max_hz,
            "--start": options.start_ns,
        },
        "settings": sections,
        "camera": picture,
    }


def _checked_settings(options: ReplayOptions) -> Settings:
    """Return the settings, once the options are known to fit together and to them.

    Raises:
        ConfigError: They do not.
        OutputError: A folder of the results is missing.
    """
    outputs = options.outputs
    check_names(outputs)
    if options.video is None and (options.blur or options.points):
        raise ConfigError(f"{'--blur' if options.blur else '--points'} is about the video: give --video OUT.mp4")
    if options.blur and options.fps:
        raise ConfigError("--blur looks for faces in every picture: leave out --fps")
    if options.camera is not None and options.config is None and not options.mqtt:
        raise ConfigError(f'--camera "{printable(options.camera)}" is a camera of the settings: give them with -c FILE')
    settings = _settings(options)
    masks_of_recording(settings, options.camera)
    if outputs.asking_for_faces:
        refuse_single_faces(settings, outputs.asking_for_faces)
    check_folders(outputs)
    return settings


def _settings(options: ReplayOptions) -> Settings:
    flags: dict[str, object] = {} if options.model is None else {"inference.model": options.model}
    if options.config is None and not options.mqtt:
        # Neither a settings file in the working directory nor variables of the environment change the events.
        return load_settings(NO_FILE, environ={}, flags=flags)
    return load_settings(options.config, flags=flags)


def _undelivered(outputs: Sequence[SinkSet], timeout_s: float) -> int:
    """Flush the outputs; return the number of events that were not delivered, including those that a full outbox dropped."""
    left = sum(output.flush(timeout_s) for output in outputs)
    outboxes = [output.outbox for output in outputs if output.outbox is not None]
    return left + sum(sum(reader.counts().dropped.values()) for outbox in outboxes for reader in outbox.readers)
