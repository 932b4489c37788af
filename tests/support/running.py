"""The parts of a running daemon without its main thread: real models and stages, scripted sources in place of cameras."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from ferstream.app.assembly import Engine, live_mode
from ferstream.app.cameras import Cameras
from ferstream.app.factories import CameraPlan
from ferstream.app.running import Running
from ferstream.capture.source import Source
from ferstream.detection.mask import Polygon
from ferstream.domain.event import CameraStatus
from ferstream.errors import FerstreamError
from ferstream.pipeline.models import Models
from ferstream.publishing.sink_set import SinkSet
from ferstream.runtime.clock import Clock
from ferstream.runtime.counters import Counters
from ferstream.settings import CameraSettings, Settings
from tests.support.runners import PATIENCE_S
from tests.support.sources import ScriptedSource
from tests.support.threads import wait_until


class ScriptedPlans:
    """Makes the plans of cameras: each connection gets the camera's next source, later ones wait to be closed.

    Attributes:
        sources: Every source that a camera connected to, by camera, in order.
    """

    def __init__(
        self, sources: Mapping[str, Iterable[Source]] | None = None, *, live: bool = True, refused: Mapping[str, str] | None = None
    ) -> None:
        """Script the sources.

        Args:
            sources: The sources of each camera.
            live: Whether the cameras connect again.
            refused: Why a camera cannot be set up, by camera.
        """
        self._waiting = {name: iter(given) for name, given in (sources or {}).items()}
        self._live, self._refused = live, dict(refused or {})
        self.sources: dict[str, list[Source]] = {}

    def __call__(self, camera: CameraSettings) -> CameraPlan:
        """Make the plan of a camera."""
        if camera.name in self._refused:
            raise FerstreamError(self._refused[camera.name])
        return CameraPlan(camera.name, self._live, lambda: self._connect(camera.name))

    def _connect(self, name: str) -> Source:
        source = next(self._waiting.get(name, iter(())), None) or ScriptedSource(linger=True)
        self.sources.setdefault(name, []).append(source)
        return source


def running_of(
    settings: Settings,
    *,
    models: Models,
    outputs: Sequence[SinkSet] = (),
    plans: Callable[[CameraSettings], CameraPlan] | None = None,
    set_masks: Callable[[str, Sequence[Polygon]], None] | None = None,
    clock: Clock | None = None,
    remove_timeout_s: float = PATIENCE_S,
) -> Running:
    """Make the parts; no stage and no camera is started."""
    engine = Engine(settings, mode=live_mode(settings), models=models, outputs=outputs, clock=clock)
    pipeline = engine.new_pipeline(Counters(clock=engine.clock))
    cameras = Cameras(
        pipeline=pipeline,
        make_plan=plans or ScriptedPlans(),
        set_masks=set_masks or models.set_masks,
        clock=engine.clock,
        remove_timeout_s=remove_timeout_s,
    )
    return Running(settings=settings, engine=engine, pipeline=pipeline, cameras=cameras, broker=None)


def wait_frames(running: Running, camera: str = "door", count: int = 1) -> None:
    """Wait until so many more frames of a camera were analysed."""
    counters = running.pipeline.counters
    before = counters.snapshot().frames.get((camera, "publishing"), 0)
    wait_until(lambda: counters.snapshot().frames.get((camera, "publishing"), 0) >= before + count)


def wait_status(running: Running, camera: str, status: CameraStatus) -> None:
    """Wait until a camera has this status."""
    states = running.pipeline.cameras.states
    wait_until(lambda: camera in states() and states()[camera].status is status)


def wait_connected(running: Running) -> None:
    """Wait until the broker has accepted the connection."""
    wait_until(lambda: running.broker_reason() == "")
