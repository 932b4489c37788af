"""Measures the overhead of the pipeline: its CPU time against that of its kernels alone.

One recording is run in turns: first the kernels alone in one thread (decode, resize, detect, crop, classify; no queues,
tracks or events), then the pipeline. The turns alternate because the speed of a shared machine varies. The report has
medians over the turns; their ratio does not depend on the machine's speed. CPU time is that of the whole process.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ferstream.app.assembly import Engine, encoder, engine, replay_mode
from ferstream.app.privacy import Masks
from ferstream.app.replay import Outcome, Replayer, probe
from ferstream.capture.options import FrameOptions
from ferstream.capture.recording import FileSource
from ferstream.inference.classifier import Classifier
from ferstream.pipeline.models import Models
from ferstream.publishing.sink_set import SinkSet
from ferstream.runtime.counters import Counters
from ferstream.settings import Settings

PERCENTILES = (0.5, 0.9, 0.99)
BARE_CAMERA = "bench"
"""Name of the camera of the bare kernels."""


@dataclass(frozen=True, slots=True)
class Run:
    """One pass: wall and CPU seconds over a number of frames and faces."""

    frames: int
    faces: int
    wall_s: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Report:
    """The numbers of ``ferstream bench``. Times are medians over the turns; ``stages_ms`` and ``latency_ms`` are of the last turn.

    Attributes:
        video: Name of the file.
        frames: Frames analysed in each pass.
        faces: Faces found in each pass.
        wall_s: Wall time of one pass of the pipeline in seconds.
        cpu_s: CPU time of one pass of the pipeline in seconds, all threads.
        fps: Frames per second of the pipeline.
        cpu_ms_per_frame: CPU milliseconds per frame of the pipeline.
        kernel_cpu_ms_per_frame: CPU milliseconds per frame of the kernels alone.
        kernel_fps: Frames per second of the kernels alone, in one thread.
        efficiency: CPU time of the kernels divided by that of the pipeline; 1 = no overhead.
        speedup: ``fps`` divided by ``kernel_fps``.
        kernels_ms: Wall milliseconds per frame of the kernels alone, by kernel.
        stages_ms: Mean wall milliseconds per item of each stage; includes the time in which other threads had the core.
        latency_ms: From decoding to publishing with full queues; p50, p90, p99.
        backend: Library and device of the classifier.
        model: Name and version of the classifier.
        cores: Cores that the process may use.
        turns: Passes of each kind.
    """

    video: str
    frames: int
    faces: int
    wall_s: float
    cpu_s: float
    fps: float
    cpu_ms_per_frame: float
    kernel_cpu_ms_per_frame: float
    kernel_fps: float
    efficiency: float
    speedup: float
    kernels_ms: dict[str, float]
    stages_ms: dict[str, float]
    latency_ms: dict[str, float]
    backend: str
    model: str
    cores: int
    turns: int

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def bench_video(
    path: Path,
    *,
    settings: Settings,
    turns: int,
    cores: int,
    fps: float = 0.0,
    masks: Masks = (),
    on_turn: Callable[[int, str], None] = lambda n, what: None,
) -> Report:
    """Measure one recording.

    Args:
        path: The recording.
        settings: Values for detection and inference.
        turns: Passes of each kind, at least 1.
        cores: Cores that the process may use, for the report.
        fps: Frames to analyse per second of media time; 0 = every frame.
        masks: Privacy masks, painted before both kinds of passes.
        on_turn: Called before each pass with the number of the turn, from 0, and ``kernels`` or ``pipeline``.

    Raises:
        SourceError: It cannot be read.
        ModelError: A network cannot be loaded.
    """
    with engine(settings, mode=replay_mode(settings), make_outputs=_encode_only) as made:
        made.models.set_masks(BARE_CAMERA, masks)
        bare = Bare(path, settings=settings, models=made.models, fps=fps)
        piped = Piped(path, engine=made, fps=fps, masks=masks)
        bare.run()  # compiles the detector for this size, fills the file cache
        kernel_runs, pipeline_runs = [], []
        for turn in range(turns):
            on_turn(turn, "kernels")
            kernel_runs.append(bare.run())
            on_turn(turn, "pipeline")
            pipeline_runs.append(piped.run())
        passes = Passes(kernels=kernel_runs, pipelines=pipeline_runs, kernels_ms=bare.milliseconds(), last=piped.outcomes[-1])
        return report_of(passes, classifier=made.models.classifier, cores=cores)


def _encode_only(models: Models) -> list[SinkSet]:
    """Encode every event, as publishing does, and discard it."""
    return [SinkSet(encoder=encoder(models, node="bench", boot_id="bench"), sinks=(), observer=Counters())]


class Bare:
    """The kernels alone, one after the other, in the calling thread."""

    def __init__(self, path: Path, *, settings: Settings, models: Models, fps: float) -> None:
        """Make one detection worker.

        Args:
            path: The recording.
            settings: Values for detection.
            models: Detector and classifier.
            fps: Frames to analyse per second of media time; 0 = every frame.
        """
        self._path, self._settings, self._models, self._fps = path, settings, models, fps
        self._finder = models.finders()[0]
        self._spent = {"capture": 0.0, "detect_and_crop": 0.0, "classify": 0.0}
        self._frames = 0

    def run(self) -> Run:
        """One pass over the video."""
        options = FrameOptions(width=self._settings.detection.width, analysis_fps=self._fps)
        source = FileSource(path=self._path, camera=BARE_CAMERA, observer=Counters(), options=options)
        source.open()
        started, cpu = time.perf_counter(), time.process_time()
        frames = faces = 0
        mark = time.perf_counter()
        for frame in source.frames():
            decoded = time.perf_counter()
            found = self._finder(frame)
            detected = time.perf_counter()
            crops = [face.crop for face in found.faces if face.crop is not None]
            if crops:
                self._models.classifier.classify(np.stack(crops))
            done = time.perf_counter()
            for name, seconds in (("capture", decoded - mark), ("detect_and_crop", detected - decoded), ("classify", done - detected)):
                self._spent[name] += seconds
            mark = done
            frames += 1
            faces += len(found.faces)
        self._frames += frames
        wall_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu
        source.close()
        return Run(frames, faces, wall_s, cpu_s)

    def milliseconds(self) -> dict[str, float]:
        """Mean wall milliseconds a frame, by kernel."""
        return {name: 1000 * seconds / max(1, self._frames) for name, seconds in self._spent.items()}


class Piped:
    """The pipeline over one recording; events are encoded and discarded."""

    def __init__(self, path: Path, *, engine: Engine, fps: float, masks: Masks = ()) -> None:
        """Open the recording once for its length.

        Args:
            path: The recording.
            engine: Models and an output that discards the events, in replay mode.
            fps: Frames to analyse per second of media time; 0 = every frame.
            masks: Privacy masks of the recording.

        Raises:
            SourceError: It cannot be read.
        """
        self._path, self._info = path, probe(path)
        self._replayer = Replayer(engine=engine, analysis_fps=fps, masks=masks)
        self._outcomes: list[Outcome] = []

    @property
    def outcomes(self) -> list[Outcome]:
        """The result of each pass, in order."""
        return self._outcomes

    def run(self) -> Run:
        """One pass over the video."""
        started, cpu = time.perf_counter(), time.process_time()
        outcome = self._replayer.replay(self._path, self._info)
        self._outcomes.append(outcome)
        return Run(outcome.frames, outcome.faces, time.perf_counter() - started, time.process_time() - cpu)


@dataclass(frozen=True, slots=True, kw_only=True)
class Passes:
    """Everything that was measured.

    Attributes:
        kernels: Passes of the bare kernels; at least one.
        pipelines: Passes of the pipeline, as many.
        kernels_ms: Mean wall milliseconds per frame, by kernel.
        last: Result of the last pass of the pipeline.
    """

    kernels: Sequence[Run]
    pipelines: Sequence[Run]
    kernels_ms: Mapping[str, float]
    last: Outcome


def report_of(passes: Passes, *, classifier: Classifier, cores: int) -> Report:
    """Make the report: medians over the passes, and the ratios of pipeline to kernels.

    Args:
        passes: What was measured.
        classifier: The classifier that was used.
        cores: Cores that the process may use.
    """
    last, kernels, pipelines = passes.last, passes.kernels, passes.pipelines
    snapshot, frames = last.snapshot, pipelines[0].frames
    cpu_s = statistics.median(run.cpu_s for run in pipelines)
    wall_s = statistics.median(run.wall_s for run in pipelines)
    kernel_cpu_s = statistics.median(run.cpu_s for run in kernels)
    kernel_fps = frames / statistics.median(run.wall_s for run in kernels)
    latency = snapshot.latencies[last.camera]
    return Report(
        video=last.path.name,
        frames=frames,
        faces=pipelines[0].faces,
        wall_s=round(wall_s, 4),
        cpu_s=round(cpu_s, 4),
        fps=round(frames / wall_s, 2),
        cpu_ms_per_frame=round(1000 * cpu_s / frames, 4),
        kernel_cpu_ms_per_frame=round(1000 * kernel_cpu_s / frames, 4),
        kernel_fps=round(kernel_fps, 2),
        efficiency=round(kernel_cpu_s / cpu_s, 4),
        speedup=round(frames / wall_s / kernel_fps, 4),
        kernels_ms={name: round(value, 4) for name, value in passes.kernels_ms.items()},
        stages_ms={stage: round(1000 * value.sum / max(1, value.count), 4) for stage, value in snapshot.durations.items()},
        latency_ms={f"p{round(100 * q)}": round(1000 * latency.quantile(q), 3) for q in PERCENTILES},
        backend=classifier.backend,
        model=f"{classifier.name}/{classifier.version}",
        cores=cores,
        turns=len(pipelines),
    )
