"""The threads of one ``ferstream.replay``: recordings one after the other through a pipeline, without a frame dropped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ferstream.api.networks import pipeline_pool
from ferstream.api.opencv_threads import one_opencv_thread
from ferstream.api.queue_sink import QueueSink
from ferstream.api.session import Session
from ferstream.app.assembly import REPLAY, Engine, encoder, replay_mode
from ferstream.app.factories import detection_plan, inference_plan
from ferstream.app.pictures import picture_options
from ferstream.app.privacy import Masks, camera_of_recording, masks_of_recording
from ferstream.app.replay import Outcome, Replayer, camera_names, probe, shown_name
from ferstream.capture.file_bytes import is_pipe
from ferstream.capture.geometry import AS_THE_SOURCE_SAYS, PictureOptions
from ferstream.capture.source import SourceInfo
from ferstream.errors import FramesLostError
from ferstream.logs import use_standard_logging
from ferstream.pipeline.models import Models
from ferstream.publishing.sink_set import SinkSet
from ferstream.runtime.channel import Overflow
from ferstream.runtime.counters import Counters
from ferstream.runtime.supervisor import Fatal
from ferstream.settings import Settings

WAITING_EVENTS = 256
"""Most events that wait for the program; the pipeline then waits too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayJob:
    """What is replayed, and how.

    Attributes:
        videos: The recordings.
        infos: What ``probe`` found out of each; None for a pipe.
        settings: The settings.
        schemas: The wanted kinds of events.
        fps: Frames to analyse per second of media time; 0 = every frame.
        speed: Multiple of the media speed; 0 = as fast as possible.
        max_hz: Most face events per second of a track; 0 = every analysed frame.
        start_ns: UTC of the first frame in nanoseconds; None reads it from the file.
        masks: Privacy masks of the recordings.
        picture: Rotation, mirror and pixel aspect of the camera that made them.
    """

    videos: Sequence[Path]
    infos: Sequence[SourceInfo | None]
    settings: Settings
    schemas: frozenset[str]
    fps: float = 0.0
    speed: float = 0.0
    max_hz: float = 0.0
    start_ns: int | None = None
    masks: Masks = ()
    picture: PictureOptions = AS_THE_SOURCE_SAYS


def opened(videos: Sequence[Path]) -> list[SourceInfo | None]:
    """Open each recording once, so that one that cannot be read is an error before anything is analysed; None for a pipe.

    Raises:
        SourceError: One cannot be read.
    """
    return [None if is_pipe(path) else probe(path) for path in videos]


def masks_and_picture(settings: Settings, camera: str | None, *, option: str) -> tuple[Masks, PictureOptions]:
    """Return masks and orientation of the camera that made the recordings.

    Args:
        settings: The settings.
        camera: Name of the camera; None takes the only one.
        option: How messages name the option.

    Raises:
        ConfigError: No camera has that name, or several could have made the recordings and some have masks.
    """
    masks, known = masks_of_recording(settings, camera, option=option), camera_of_recording(settings, camera, option=option)
    return masks, AS_THE_SOURCE_SAYS if known is None else picture_options(known)


class ReplaySession(Session):
    """Replays recordings; see ``Session``."""

    def __init__(self, job: ReplayJob) -> None:
        """Set up; ``start`` runs it.

        Args:
            job: What is replayed.
        """
        super().__init__(name="ferstream-replay", capacity=WAITING_EVENTS, overflow=Overflow.BLOCK)
        self._job = job
        self.outcomes: list[Outcome] = []
        """The recordings that were replayed to their end."""
        self.progress: tuple[int, int | None] = (0, None)
        """Analysed frames of the present recording, and its frames if they are known."""

    @property
    def lost(self) -> int:
        """Frames that were damaged or dropped, of the recordings that were replayed to their end."""
        return sum(outcome.lost for outcome in self.outcomes)

    def _work(self) -> None:
        use_standard_logging()
        mode = replay_mode(self._job.settings, max_hz_per_face=self._job.max_hz)
        key = (detection_plan(self._job.settings), inference_plan(self._job.settings, deterministic=mode.deterministic))
        with one_opencv_thread(), pipeline_pool().borrowed(key) as models:
            try:
                self._replay(models)
            finally:
                models.end_of_pipeline()

    def _replay(self, models: Models) -> None:
        names, fatal = camera_names(self._job.videos), Fatal()
        sources = {name: shown_name(path) for name, path in zip(names, self._job.videos, strict=True)}
        sink = QueueSink(events=self.events, schemas=self._job.schemas)
        outputs = SinkSet(
            encoder=encoder(models, node=REPLAY, boot_id=REPLAY, sources=sources),
            sinks=(sink,),
            observer=Counters(),
            on_failure=fatal.report,
        )
        mode = replay_mode(self._job.settings, max_hz_per_face=self._job.max_hz)
        replayer = self._replayer(Engine(self._job.settings, mode=mode, models=models, outputs=(outputs,), fatal=fatal))
        for path, info, name in zip(self._job.videos, self._job.infos, names, strict=True):
            if self.asked_to_end.is_set():
                return
            try:
                self.outcomes.append(replayer.replay(path, info, camera=name))
            except FramesLostError:
                if not self.asked_to_end.is_set():
                    raise

    def _replayer(self, made: Engine) -> Replayer:
        job = self._job
        return Replayer(
            engine=made,
            analysis_fps=job.fps,
            speed=job.speed,
            start_ns=job.start_ns,
            masks=job.masks,
            picture=job.picture,
            on_progress=self._progressed,
            stop=self.asked_to_end,
        )

    def _progressed(self, _camera: str, done: int, total: int | None) -> None:
        """Keep the progress; several times a second in the thread of the session, while the pipeline runs and once at its end."""
        self.progress = (done, total)
        if self.asked_to_end.is_set():
            self.events.abandon()  # the publishing thread may wait for room
