"""The parts of a running daemon, and its state as read from them. Any thread may read; the main thread changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

from ferstream.app.assembly import Engine
from ferstream.app.cameras import Cameras
from ferstream.app.homeassistant import HomeAssistant
from ferstream.app.load import LoadMonitor
from ferstream.broker.embedded import HOST, EmbeddedBroker
from ferstream.domain.ports import SinkStatus
from ferstream.inference.cost import ms_per_face
from ferstream.outbox.outbox import Outbox
from ferstream.pipeline.pipeline import Pipeline
from ferstream.runtime.clock import Clock
from ferstream.runtime.counters import Counters
from ferstream.runtime.redaction import redact_source
from ferstream.settings import Settings
from ferstream.telemetry.server import TelemetryServer
from ferstream.web.page import LivePage

S = TypeVar("S")


class FrameRate:
    """Measures the frames per second whose events were published, over all cameras; one thread."""

    def __init__(self, *, counters: Counters, clock: Clock) -> None:
        """Start to count now."""
        self._counters, self._clock = counters, clock
        self._before, self._since_ns = 0, clock.monotonic_ns()

    def since_last_call(self) -> float:
        """Return the mean since the last call, or since the start."""
        frames = sum(count for (_, stage), count in self._counters.snapshot().frames.items() if stage == "publishing")
        now_ns = self._clock.monotonic_ns()
        rate = (frames - self._before) / max(1e-3, (now_ns - self._since_ns) / 1e9)
        self._before, self._since_ns = frames, now_ns
        return rate


@dataclass(slots=True, kw_only=True)
class Running:
    """Everything that a running daemon consists of.

    Attributes:
        settings: The settings in force.
        engine: Models and sinks.
        pipeline: The stages.
        cameras: The cameras of the settings.
        broker: The embedded broker; None if the settings name another one.
        server: The HTTP pages; None if they are switched off.
        page: The live page; None if the pages are switched off.
        home_assistant: Announces the cameras; None without an MQTT sink.
        load: What the cameras ask for and get.
        ms_per_face: What a face costs the classifier here; measured before the pipeline starts, which then owns the classifier.
    """

    settings: Settings
    engine: Engine
    pipeline: Pipeline
    cameras: Cameras
    broker: EmbeddedBroker | None
    server: TelemetryServer | None = None
    page: LivePage | None = None
    home_assistant: HomeAssistant | None = None
    load: LoadMonitor = field(init=False)
    ms_per_face: float = field(init=False)
    _rate: FrameRate = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.ms_per_face = ms_per_face(self.engine.models.classifier)
        self.load = LoadMonitor(pipeline=self.pipeline, clock=self.engine.clock)
        self._rate = self.frame_rate()

    @property
    def outbox(self) -> Outbox | None:
        """The outbox of the sinks; None if no sink reads one."""
        return next((output.outbox for output in self.engine.outputs if output.outbox is not None), None)

    def outbox_events(self) -> int:
        """Return the events that wait in the outbox."""
        return 0 if self.outbox is None else self.outbox.events

    def sinks(self) -> list[SinkStatus]:
        """Return the status of every sink, in the order of the outputs."""
        return [status for output in self.engine.outputs for status in output.statuses()]

    def sink(self, name: str) -> SinkStatus | None:
        """Return the status of one sink; None if there is no sink of that name."""
        return next((status for status in self.sinks() if status.name == name), None)

    def find_sink(self, kind: type[S]) -> S | None:
        """Return the sink of a kind; None if there is none."""
        sinks = (sink for output in self.engine.outputs for sink in output.sinks)
        return next((sink for sink in sinks if isinstance(sink, kind)), None)

    def model_label(self) -> str:
        """Return the model, why ``auto`` chose it, and what a face costs, for people."""
        models = self.engine.models
        chosen = f", auto: {models.chosen_because}" if models.chosen_because else ""
        classifier = models.classifier
        return f"{classifier.name}/{classifier.version} on {classifier.backend}, {self.ms_per_face:.2f} ms a face{chosen}"

    def broker_label(self) -> str:
        """Return the broker's address for people."""
        return f"{HOST}:{self.broker.port} (embedded)" if self.broker else redact_source(self.settings.mqtt.url)

    def broker_reason(self) -> str:
        """Return why the broker is not connected; empty when it is."""
        mqtt = self.sink("mqtt")
        return "no MQTT sink" if mqtt is None else mqtt.reason

    def frame_rate(self) -> FrameRate:
        """Return a new meter of the frames per second."""
        return FrameRate(counters=self.pipeline.counters, clock=self.engine.clock)

    def forget_camera(self, name: str) -> None:
        """Tell the sinks that a camera was taken out of the settings."""
        for output in self.engine.outputs:
            output.forget_camera(name)

    def remember_camera(self, name: str) -> None:
        """Tell the sinks that a camera was added, before it is started."""
        for output in self.engine.outputs:
            output.remember_camera(name)

    def status_line(self) -> str:
        """Return one line for ``systemctl status``; its frames per second are the mean since the last call. Main thread only."""
        snapshot = self.pipeline.counters.snapshot()
        names = self.pipeline.cameras.names
        up = sum(snapshot.cameras_up.get(name, False) for name in names)
        waiting = sum(items for items, _ in self.pipeline.queues().values())
        reason = self.broker_reason()
        broker = f"not connected ({reason})" if reason else "connected"
        fps = self._rate.since_last_call()
        load = ", overloaded" if self.load.load.overloaded else ""
        return f"{fps:.1f} fps, {up} of {len(names)} cameras up, {waiting} queued, broker {broker}, outbox {self.outbox_events()}{load}"
