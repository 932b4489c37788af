"""Random scenes for the privacy tests, and everything that leaves the process when one is played."""

from __future__ import annotations

import io
import logging
from collections.abc import Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st
from prometheus_client import generate_latest

from ferstream.app.privacy import privacy_rules
from ferstream.app.sinks import network_sinks
from ferstream.cli.demo import EventLines
from ferstream.domain.emotion import LABELS
from ferstream.domain.event import CameraState, LabelledFrame, Summary
from ferstream.domain.frame import EndOfStream
from ferstream.domain.message import Message
from ferstream.domain.ports import SinkStatus
from ferstream.domain.track import Track, TrackedFace, TrackedFrame, TrackState
from ferstream.errors import FerstreamError
from ferstream.events.encode import Encoder, ModelRef
from ferstream.labelling.smoothing import SmoothingLabeller
from ferstream.logs import configure_logging
from ferstream.outbox.reader import OutboxReader
from ferstream.publishing.sink_set import SinkSet
from ferstream.publishing.stage import PublishingHandler
from ferstream.publishing.summaries import Summaries
from ferstream.runtime.counters import Counters
from ferstream.runtime.observer import Observer
from ferstream.settings import Settings
from ferstream.telemetry.collector import build_registry
from ferstream.telemetry.readings import BuildInfo, OutboxReading, Readings, SinkReading
from ferstream.web.feed import LiveFeed
from ferstream.web.hub import Hub
from ferstream.web.messages import LiveMessage
from tests.support.builders import face_crop, frame_info
from tests.support.clock import FakeClock
from tests.support.logs import logging_restored
from tests.support.threads import wait_until

INTERVAL_S = 5
CAMERA = "door"
STEP_S = (0, 1, 2, 3, 6)


@dataclass(frozen=True, slots=True)
class Step:
    """One frame of a scene.

    Attributes:
        after_s: Seconds since the frame before.
        people: Who is seen, by number, with the place in LABELS of the expression.
    """

    after_s: int
    people: dict[int, int]


Scene = tuple[Step, ...]


def scenes(*, most_people: int) -> st.SearchStrategy[Scene]:
    """Scenes of up to 14 frames in which people come and go."""
    people = st.dictionaries(st.integers(1, most_people), st.integers(0, 6), max_size=most_people)
    steps = st.builds(Step, after_s=st.sampled_from(STEP_S), people=people)
    return st.lists(steps, min_size=1, max_size=14).map(tuple)


def intervals(scene: Scene) -> list[list[int]]:
    """Return the steps of each summary interval, as the time of the steps says."""
    found: list[list[int]] = [[]]
    now = since = 0
    for number, step in enumerate(scene):
        now += step.after_s if number else 0
        if now - since >= INTERVAL_S:
            since = now
            found.append([])
        found[-1].append(number)
    return found


def with_other_expressions(scene: Scene, steps: Sequence[int], shift: int) -> Scene:
    """Return the scene in which everybody has another expression in these steps."""
    return tuple(
        replace(step, people={who: (label + shift) % len(LABELS) for who, label in step.people.items()}) if number in steps else step
        for number, step in enumerate(scene)
    )


class Recorder:
    """A sink that keeps what it is given."""

    name = "recorder"

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def open(self) -> None:
        """Nothing to open."""

    def write(self, message: Message) -> None:
        """Keep one message."""
        self.messages.append(message)

    def flush(self, timeout_s: float) -> int:
        """Nothing waits."""
        return 0

    def close(self) -> None:
        """Nothing to close."""

    def status(self) -> SinkStatus:
        """It has no connection."""
        return SinkStatus(self.name)


class Audience(LiveFeed):
    """The live view with somebody who looks at everything: messages as they are encoded, and the state between two frames."""

    def __init__(self, settings: Settings, counters: Counters, clock: FakeClock) -> None:
        hub = Spectators(observer=counters)
        super().__init__(
            hub,
            pixels=settings.http.pixels,
            aggregate_only=settings.privacy.aggregate_only,
            observer=counters,
            clock=clock,
            max_fps=1e9,
        )
        self._spectators, self._states = hub, list[object]()
        self.start()

    def show(self, item: LabelledFrame | Summary | CameraState) -> None:
        """Show one thing and wait until it was encoded, so that two scenes can be compared."""
        shown = len(self._spectators.sent)
        super().show(item)
        wait_until(lambda: len(self._spectators.sent) > shown)

    def look_around(self) -> None:
        """Ask for what the state page shows of the camera."""
        view = self.view(CAMERA)
        self._states.append((view.faces_now, view.size, view.summary))

    def everything(self) -> list[object]:
        """Return all that was sent and shown."""
        self.look_around()
        self.close()
        return [*self._states, *(message.data for message in self._spectators.sent)]


class Spectators(Hub):
    """Viewers who look at every camera."""

    def __init__(self, *, observer: Observer) -> None:
        super().__init__(observer=observer)
        self.sent: list[LiveMessage] = []

    @property
    def viewers(self) -> int:
        """There is always one."""
        return 1

    def wants(self, camera: str) -> bool:
        """Every camera is looked at."""
        return True

    def send(self, message: LiveMessage) -> None:
        """Keep one message."""
        self.sent.append(message)


def everything_that_leaves(scene: Scene, settings: Settings, *, lifespan_steps: int = 2) -> dict[str, object]:
    """Play a scene into every sink of the settings; return messages, queued deliveries, pages, log and terminal, by channel.

    Args:
        scene: What the camera sees.
        settings: The settings, with every sink that is to be looked at.
        lifespan_steps: Steps after which a person who is not seen any more has left.
    """
    recorder, counters, clock, log, terminal = Recorder(), Counters(), FakeClock(), io.StringIO(), io.StringIO()
    live = Audience(settings, counters, clock)
    encoder = Encoder(node="edge", boot_id="boot", model=ModelRef("m", "1"), clock=clock)
    with logging_restored(), redirect_stdout(terminal):
        configure_logging(level="debug", format="console", stream=log, environ={})
        logging.getLogger().handlers[-1].setFormatter(logging.Formatter("%(message)s"))  # without the time of day
        lines = EventLines(aggregate_only=settings.privacy.aggregate_only)
        sinks = network_sinks(settings, encoder=encoder, observer=counters, durable=False, extra=(recorder, lines))
        _play(scene, settings, sinks, counters, clock, lifespan_steps, live)
    seen: dict[str, Any] = {
        "messages": recorder.messages,
        "queued": {reader.name: [delivery.payload for delivery in reader.take(1000)] for reader in _readers(sinks)},
        "metrics": _page(sinks, counters),
        "live": live.everything(),
        "log": log.getvalue(),
        "terminal": terminal.getvalue(),
    }
    with suppress(FerstreamError):
        sinks.close()  # frees the pipes of sinks that were never opened
    return seen


def _play(
    scene: Scene, settings: Settings, sinks: SinkSet, counters: Counters, clock: FakeClock, lifespan_steps: int, live: Audience
) -> None:
    rules = privacy_rules(settings)
    publish = PublishingHandler(
        publish=sinks.write,
        allow=lambda event: True,
        summaries=Summaries(interval_s=INTERVAL_S, privacy=rules, clock=clock),
        privacy=rules,
        observer=counters,
        clock=clock,
        view=live,
    )
    labeller, last_seen = SmoothingLabeller(), dict[int, int]()
    for number, step in enumerate(scene):
        clock.advance(step.after_s if number else 0)
        ended = [who for who, last in last_seen.items() if number - last > lifespan_steps]
        new = step.people.keys() - (last_seen.keys() - set(ended))
        last_seen = {who: last for who, last in last_seen.items() if who not in ended} | dict.fromkeys(step.people, number)
        faces = tuple(
            TrackedFace(_track(who, TrackState.APPEARED if who in new else TrackState.PRESENT, number), face_crop()) for who in step.people
        )
        left = tuple(_track(who, TrackState.LEFT, number) for who in ended if who not in step.people)
        frame = TrackedFrame(info=frame_info(number, camera=CAMERA), faces=faces, ended=left)
        live.look_around()
        publish(labeller.label(frame, [_probabilities(label) for label in step.people.values()]))
        counters.faces(CAMERA, "found", len(faces))
    publish(EndOfStream(CAMERA, final=True))


def _track(who: int, state: TrackState, number: int) -> Track:
    return Track(f"{CAMERA}-run-{who}", state, number)


def _probabilities(label: int) -> list[float]:
    return [0.94 if place == label else 0.01 for place in range(len(LABELS))]


def _readers(sinks: SinkSet) -> Sequence[OutboxReader]:
    return () if sinks.outbox is None else sinks.outbox.readers


def _page(sinks: SinkSet, counters: Counters) -> str:
    outbox = sinks.outbox
    assert outbox is not None
    readings = Readings(
        snapshot=counters.snapshot,
        cameras=lambda: (CAMERA,),
        build=lambda: BuildInfo("1", "m/1", "scripted"),
        outbox=lambda: OutboxReading(outbox.events, outbox.size_bytes, outbox.max_events, outbox.max_bytes),
        sinks=lambda: [SinkReading(reader.name, None, reader.counts().events) for reader in outbox.readers],
    )
    return generate_latest(build_registry(readings, process=False)).decode()
