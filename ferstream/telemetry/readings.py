"""The values behind the metrics: where they come from, and what one scrape read."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ferstream.runtime.counters import Snapshot


@dataclass(frozen=True, slots=True)
class QueueReading:
    """Items that wait in front of a stage, and how many fit."""

    items: int
    capacity: int


@dataclass(frozen=True, slots=True)
class OutboxReading:
    """The state of the outbox.

    Attributes:
        events: Events it holds.
        bytes: Their size in bytes.
        capacity_events: Most events it may hold.
        capacity_bytes: Most bytes it may hold.
        degraded: Whether events are kept in memory only, because the disk failed.
    """

    events: int
    bytes: int
    capacity_events: int
    capacity_bytes: int
    degraded: bool = False


@dataclass(frozen=True, slots=True)
class SinkReading:
    """The state of one sink.

    Attributes:
        name: Name of the sink.
        connected: Whether the other side accepts events; None for a sink without a connection.
        events: Events that wait for it in the outbox; None for a sink that does not read the outbox.
        acknowledged: Events that the other side took over.
        dropped: Events that it lost, by reason.
    """

    name: str
    connected: bool | None = None
    events: int | None = None
    acknowledged: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CameraLoadReading:
    """Frames per second that a live camera asks for, and the share of them that is analysed (0..1)."""

    wanted_fps: float
    served_ratio: float


@dataclass(frozen=True, slots=True)
class LoadReading:
    """Whether the machine is overloaded, and the load of each live camera that delivers frames."""

    overloaded: bool
    cameras: Mapping[str, CameraLoadReading]


@dataclass(frozen=True, slots=True)
class BuildInfo:
    """Version of ferstream, model as ``name/version``, and backend of inference."""

    version: str
    model: str
    backend: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrape:
    """All values of one scrape, read once; see ``Readings`` for their meaning."""

    snapshot: Snapshot
    cameras: tuple[str, ...]
    build: BuildInfo
    expected_down: Container[str]
    queues: Mapping[str, QueueReading]
    load: LoadReading | None
    outbox: OutboxReading | None
    sinks: Sequence[SinkReading]
    mqtt_connected: bool | None
    viewers: int | None
    gpu_memory_bytes: int | None


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """Functions that return the current values. Each is called once per scrape, by the server's thread, and must be quick.

    Attributes:
        snapshot: ``Counters.snapshot``.
        cameras: Names of the configured cameras; their series exist at 0.
        build: Version, model and backend.
        expected_down: Names of the cameras that are switched off or whose recording is over.
        queues: Queue in front of each stage.
        load: What the live cameras ask for and get; None if it is not measured.
        outbox: State of the outbox; None without an outbox.
        sinks: State of each sink.
        mqtt_connected: Whether the broker accepted the connection; None without a broker.
        viewers: Open streams of the live page; None without the page.
        gpu_memory_bytes: Memory in use on the accelerator; None when it cannot be read.
    """

    snapshot: Callable[[], Snapshot]
    cameras: Callable[[], Iterable[str]]
    build: Callable[[], BuildInfo]
    expected_down: Callable[[], Container[str]] = tuple
    queues: Callable[[], Mapping[str, QueueReading]] = dict
    load: Callable[[], LoadReading | None] = _nothing
    outbox: Callable[[], OutboxReading | None] = _nothing
    sinks: Callable[[], Sequence[SinkReading]] = tuple
    mqtt_connected: Callable[[], bool | None] = _nothing
    viewers: Callable[[], int | None] = _nothing
    gpu_memory_bytes: Callable[[], int | None] = _nothing

    def read(self) -> Scrape:
        """Call every function once."""
        return Scrape(
            snapshot=self.snapshot(),
            cameras=tuple(sorted(set(self.cameras()))),
            build=self.build(),
            expected_down=self.expected_down(),
            queues=self.queues(),
            load=self.load(),
            outbox=self.outbox(),
            sinks=self.sinks(),
            mqtt_connected=self.mqtt_connected(),
            viewers=self.viewers(),
            gpu_memory_bytes=self.gpu_memory_bytes(),
        )
