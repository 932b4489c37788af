"""Makes the plan of an archive: finds the recordings, and writes the chunks of each as soon as they are known. Main thread.

``plan.json`` is written last: a process that is killed leaves no plan, and the same call begins again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ferstream.app.privacy import masks_of_recording, refuse_single_faces
from ferstream.app.recording_names import camera_names, shown_name
from ferstream.app.replay import NO_FILE
from ferstream.archive.chunk_file import FOLDER as CHUNKS
from ferstream.archive.done_file import FOLDER as DONE
from ferstream.archive.machine import machine
from ferstream.archive.plan import PLAN, LeftOut, Plan, PlannedRecording, chunks_name, decode_plan, encode_chunks, encode_plan
from ferstream.archive.planning.examine import Cutting, examine, fingerprint
from ferstream.archive.planning.found_sources import FoundSources, find_sources
from ferstream.archive.planning.identity import Identity, difference, identity_of
from ferstream.archive.storage.lock import locked
from ferstream.archive.storage.sources import local_copy
from ferstream.archive.storage.store import LocalStore, Store
from ferstream.errors import ConfigError, OutputError, SourceError
from ferstream.runtime.printable import printable
from ferstream.settings import Settings, load_settings

ADVICE = "plan it into another folder, or remove this one"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """The options of ``ferstream archive plan``; see its ``--help``.

    Attributes:
        sources: Files, folders and patterns.
        chunk_s: Wanted length of a chunk in seconds.
        config: Settings file; None for the defaults.
        model: Name, name/version or folder of a model bundle; None for that of the settings.
        fps: Frames to analyse per second of media time; 0 for all.
        camera: The camera of the settings that made the recordings.
        start_ns: UTC of the first frame in nanoseconds; None reads it from the file.
    """

    sources: tuple[str, ...]
    chunk_s: float = 60.0
    config: Path | None = None
    model: str | None = None
    fps: float = 0.0
    camera: str | None = None
    start_ns: int | None = None

    def stored(self) -> dict[str, Any]:
        """Return what of them decides about the results, as it stands in the plan."""
        return {"chunk_s": self.chunk_s, "fps": self.fps, "model": self.model, "camera": self.camera, "start_ns": self.start_ns}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanHooks:
    """What planning reports; main thread.

    Attributes:
        on_found: Called with the number of recordings, before the first is looked at.
        on_recording: Called with each recording that is planned.
    """

    on_found: Callable[[int], None] = lambda count: None
    on_recording: Callable[[PlannedRecording], None] = lambda recording: None


@dataclass(frozen=True, slots=True)
class Planned:
    """The plan of an archive.

    Attributes:
        plan: The plan.
        was_there: Whether it was there before, so that finished work is kept.
    """

    plan: Plan
    was_there: bool


def make_plan(store: Store, options: PlanOptions, hooks: PlanHooks | None = None) -> Planned:
    """Plan an archive, or check that its plan is the one that would be made.

    Args:
        store: The archive.
        options: The options.
        hooks: What is reported.

    Raises:
        ConfigError: The options do not fit together, the archive was planned with others, or it has results and no plan.
        SourceError: A recording that was named cannot be read, or none can be.
        ModelError: A model was not found or is damaged.
        OutputError: A file cannot be written.
    """
    settings = checked_settings(options)
    identity = identity_of(settings, options.camera)
    found = find_sources(options.sources, leave_out=store.where)
    if options.start_ns is not None and len(found.paths) > 1:
        raise ConfigError("--start is the time of one recording; plan the others with a --start of their own")
    with _opened(store):
        before = _read(store)
        if before is not None:
            _check_same(store, before, options, identity)
        return _Planner(store, options, before, hooks or PlanHooks()).plan(found, identity)


def checked_settings(options: PlanOptions) -> Settings:
    """Return the settings of a plan.

    Raises:
        ConfigError: They are wrong, or do not fit to the options.
    """
    if options.camera is not None and options.config is None:
        raise ConfigError(f'--camera "{printable(options.camera)}" is a camera of the settings: give them with -c FILE')
    flags: dict[str, object] = {} if options.model is None else {"inference.model": options.model}
    if options.config is None:
        # As for replay, neither a settings file in the working directory nor variables of the environment change the events.
        settings = load_settings(NO_FILE, environ={}, flags=flags)
    else:
        settings = load_settings(options.config, flags=flags)
    masks_of_recording(settings, options.camera)
    refuse_single_faces(settings, "archive")
    return settings


class _Planner:
    """Plans the recordings of one archive, one after the other."""

    def __init__(self, store: Store, options: PlanOptions, before: Plan | None, hooks: PlanHooks) -> None:
        self._store, self._options, self._before, self._hooks = store, options, before, hooks
        self._cutting = Cutting(chunk_s=options.chunk_s, fps=options.fps)

    def plan(self, found: FoundSources, identity: Identity) -> Planned:
        """Plan the recordings, and write the plan."""
        self._hooks.on_found(len(found.paths))
        recordings: list[PlannedRecording] = []
        left_out = list(found.left_out)
        for path in found.paths:
            try:
                recordings.append(self._recording(len(recordings), path))
            except SourceError as exc:
                left_out.append(LeftOut(path, str(exc).partition(": ")[2] or str(exc)))  # the message names the local copy
                continue
            self._hooks.on_recording(recordings[-1])
        if not recordings:
            raise SourceError(f"none of {len(found.paths)} recordings can be read: {left_out[-1].path}: {left_out[-1].reason}")
        names = camera_names([Path(recording.path) for recording in recordings])
        named = tuple(replace(recording, camera=camera) for recording, camera in zip(recordings, names, strict=True))
        if self._before is not None:
            self._check_all(named)
            return Planned(self._before, was_there=True)
        plan = Plan(
            recordings=named,
            left_out=tuple(left_out),
            options=self._options.stored(),
            identity=identity.values,
            machine=machine(),
            settings=identity.settings,
        )
        self._store.write(PLAN, encode_plan(plan))
        return Planned(plan, was_there=False)

    def _recording(self, number: int, path: str) -> PlannedRecording:
        """Plan one recording; its camera is named when all are known."""
        with local_copy(path) as file:
            size_and_head = fingerprint(file)
            self._check_left_out(path, file)
            known = self._known(number, path, size_and_head.size, size_and_head.head)
            if known is not None and self._has_chunks(number):
                return known
            examined = examine(file, self._cutting)
        recording = PlannedRecording(
            number=number,
            path=path,
            source=shown_name(Path(path)),
            camera="" if known is None else known.camera,
            size=size_and_head.size,
            head=size_and_head.head,
            utc_origin_ns=examined.utc_origin_ns if self._options.start_ns is None else self._options.start_ns,
            frames=examined.frames,
            duration_s=examined.duration_s,
            chunks=len(examined.chunks),
            undivided=examined.undivided,
            origin_pts=examined.origin_pts,
            time_base=examined.time_base,
        )
        if known is not None and known != recording:
            raise ConfigError(f"{self._store.where}: {path} is cut in another way than in its plan; {ADVICE}")
        self._store.write(chunks_name(number), encode_chunks(examined.chunks))
        return recording

    def _check_left_out(self, path: str, file: Path) -> None:
        """Check that a file that an earlier process left out still cannot be read.

        Raises:
            SourceError: It cannot.
            ConfigError: It can.
        """
        if self._before is not None and any(left.path == path for left in self._before.left_out):
            examine(file, self._cutting)
            raise ConfigError(f"{self._store.where}: {path} could not be read when it was planned, and can be now; {ADVICE}")

    def _known(self, number: int, path: str, size: int, head: str) -> PlannedRecording | None:
        """Return a recording as an earlier process planned it; None if there is no plan yet."""
        if self._before is None:
            return None
        if number >= len(self._before.recordings):
            raise ConfigError(f"{self._store.where}: {path} is not in its plan; {ADVICE}")
        known = self._before.recordings[number]
        if known.path != path:
            raise ConfigError(f"{self._store.where}: has a plan of other recordings: {known.path} is where {path} is now; {ADVICE}")
        if (known.size, known.head) != (size, head):
            raise ConfigError(f"{self._store.where}: {path} has changed since it was planned; {ADVICE}")
        return known

    def _check_all(self, recordings: tuple[PlannedRecording, ...]) -> None:
        """Check that all recordings of an earlier plan are there."""
        if self._before is not None and recordings != self._before.recordings:
            count = len(self._before.recordings)
            raise ConfigError(f"{self._store.where}: its plan has {count} recordings, and there are {len(recordings)} now; {ADVICE}")

    def _has_chunks(self, number: int) -> bool:
        try:
            return bool(self._store.read(chunks_name(number)))
        except FileNotFoundError:
            return False


def _read(store: Store) -> Plan | None:
    """Return the plan of an archive; None if it has none.

    Raises:
        ConfigError: It is damaged, or there are results without a plan.
    """
    try:
        return decode_plan(store.read(PLAN), f"{store.where}/{PLAN}")
    except FileNotFoundError:
        pass
    if next((name for folder in (CHUNKS, DONE) for name in store.names(folder)), None) is not None:
        raise ConfigError(f"{store.where}: has results and no {PLAN}: its plan was removed; {ADVICE}")
    return None


def _check_same(store: Store, before: Plan, options: PlanOptions, identity: Identity) -> None:
    changed = difference(dict(before.identity), identity.values)
    stored = options.stored()
    of_digits = {f"--{key.removesuffix('_ns').replace('_', '-')}": key for key in stored if key != "model"}  # the identity has the model
    changed = changed or difference(
        {name: before.options.get(key) for name, key in of_digits.items()}, {name: stored[key] for name, key in of_digits.items()}
    )
    if changed:
        raise ConfigError(f"{store.where}: was planned in another way: {changed}; {ADVICE}")


@contextmanager
def _opened(store: Store) -> Iterator[None]:
    """Make the folder of an archive, which only its owner can read, and be the only process that works at it."""
    if isinstance(store, LocalStore):
        try:
            store.folder.parent.mkdir(parents=True, exist_ok=True)
            store.folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as exc:
            raise OutputError(f"cannot make the folder {store.folder}: {exc.strerror}") from exc
    with locked(store):
        yield
