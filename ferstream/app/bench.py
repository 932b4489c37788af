"""How much of the machine's time the pipeline spends on anything but its kernels.

One video is run in turns: the bare kernels in one thread (decode, downscale, detect, crop,
classify, nothing else: no threads, queues, tracks or events), then the pipeline, and so on.
The turns alternate because the machines are shared and their speed wanders; medians are
reported, and the ratio is the number that means something. CPU time is the whole process's.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ferstream.app.assembly import Engine, encoder, engine, replay_mode
from ferstream.app.replay import Outcome, Replayer, camera_name, probe
from ferstream.capture.recording import FileSource
from ferstream.pipeline.models import Models
from ferstream.publishing.sink_set import SinkSet
from ferstream.runtime.counters import Counters
from ferstream.settings import Settings

PERCENTILES = (0.5, 0.9, 0.99)


@dataclass(frozen=True, slots=True)
class Run:
    """One pass: wall and CPU seconds over a number of frames and faces."""

    frames: int
    faces: int
    wall_s: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Report:
    """The numbers of ``ferstream bench``; times are medians over the turns, but for the last turn's ``stages_ms`` and ``latency_ms``.

    Attributes:
        frames: Frames of the video, each analysed.
        faces: Faces found.
        wall_s: Pipeline, one pass.
        cpu_s: Pipeline, one pass, all threads.
        fps: Pipeline.
        cpu_ms_per_frame: Pipeline.
        kernel_cpu_ms_per_frame: Bare kernels.
        kernel_fps: Bare kernels on one core.
        efficiency: Kernel CPU over pipeline CPU per frame; 1 = no overhead.
        speedup: Pipeline frames/s over the kernels' on one core.
        kernels_ms: Bare kernels by name, wall milliseconds a frame.
        stages_ms: Mean work per item by stage, wall milliseconds (other threads' turns included).
        latency_ms: From decode to published while the lanes are kept full; p50, p90, p99.
        cores: Cores the process may use.
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
    path: Path, *, settings: Settings, turns: int, cores: int, fps: float = 0.0, on_turn: Callable[[int, str], None] = lambda n, what: None
) -> Report:
    """Measure one recording.

    Raises:
        SourceError: It cannot be read.
        ModelError: A network cannot be loaded.
    """
    with engine(settings, mode=replay_mode(settings), make_outputs=_encode_only) as made:
        bare = Bare(path, settings=settings, models=made.models, fps=fps)
        piped = _Piped(path, engine=made, fps=fps)
        bare.run()  # compiles the detector for this size, fills the file cache
        kernel_runs, pipeline_runs = [], []
        for turn in range(turns):
            on_turn(turn, "kernels")
            kernel_runs.append(bare.run())
            on_turn(turn, "pipeline")
            pipeline_runs.append(piped.run())
        return _report(Passes(kernel_runs, pipeline_runs, bare.milliseconds(), piped), path=path, models=made.models, cores=cores)


def _encode_only(models: Models) -> list[SinkSet]:
    """Encode every event, as publishing does, and discard it."""
    return [SinkSet(encoder=encoder(models, node="bench", boot_id="bench"), sinks=(), observer=Counters())]


class Bare:
    """The kernels alone, one after the other, in the calling thread."""

    def __init__(self, path: Path, *, settings: Settings, models: Models, fps: float) -> None:
        """Take one detection worker and the classifier of the models."""
        self._path, self._settings, self._models, self._fps = path, settings, models, fps
        self._finder = models.finders()[0]
        self._spent = {"capture": 0.0, "detect_and_crop": 0.0, "classify": 0.0}
        self._frames = 0

    def run(self) -> Run:
        """One pass over the video."""
        source = FileSource(
            path=self._path, camera="bench", observer=Counters(), width=self._settings.detection.width, analysis_fps=self._fps
        )
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


class _Piped:
    """The whole pipeline; events are encoded and discarded."""

    def __init__(self, path: Path, *, engine: Engine, fps: float) -> None:
        self._path, self._info = path, probe(path)
        self._replayer = Replayer(engine=engine, analysis_fps=fps)
        self.last: Outcome | None = None

    def run(self) -> Run:
        """One pass over the video."""
        started, cpu = time.perf_counter(), time.process_time()
        self.last = self._replayer.replay(self._path, self._info)
        return Run(self.last.frames, self.last.faces, time.perf_counter() - started, time.process_time() - cpu)


@dataclass(frozen=True, slots=True)
class Passes:
    """Everything that was measured."""

    kernels: list[Run]
    pipelines: list[Run]
    kernels_ms: dict[str, float]
    piped: _Piped


def _report(passes: Passes, *, path: Path, models: Models, cores: int) -> Report:
    last, kernels, pipelines = passes.piped.last, passes.kernels, passes.pipelines
    if last is None:
        raise ValueError("expected at least one turn")
    snapshot, frames = last.snapshot, pipelines[0].frames
    cpu_s = statistics.median(run.cpu_s for run in pipelines)
    wall_s = statistics.median(run.wall_s for run in pipelines)
    kernel_cpu_s = statistics.median(run.cpu_s for run in kernels)
    kernel_fps = frames / statistics.median(run.wall_s for run in kernels)
    latency = snapshot.latencies[camera_name(path)]
    return Report(
        video=path.name,
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
        backend=models.classifier.backend,
        model=f"{models.classifier.name}/{models.classifier.version}",
        cores=cores,
        turns=len(pipelines),
    )
