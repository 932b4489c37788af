"""Makes the running thing from the settings: models, sinks, and the pipeline between them.

``daemon``, ``replay`` and ``bench`` hold an ``Engine``; no other module of ``app`` builds a pipeline. Main thread.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import structlog

from ferstream.app.factories import detection_plan, inference_plan
from ferstream.app.privacy import privacy_rules
from ferstream.domain.event import Event, LabelledFrame
from ferstream.domain.ports import Labeller, LiveView
from ferstream.domain.track import TrackedFrame
from ferstream.events.encode import Encoder, ModelRef
from ferstream.labelling.evidence import EvidenceLimits
from ferstream.labelling.smoothing import SmoothingLabeller
from ferstream.pipeline.components import Components, PipelineConfig
from ferstream.pipeline.low_score_finder import OnDetected
from ferstream.pipeline.models import Models
from ferstream.pipeline.pipeline import Pipeline
from ferstream.publishing.rate_limit import FaceRateLimit
from ferstream.publishing.sink_set import SinkSet
from ferstream.runtime.clock import Clock, SystemClock
from ferstream.runtime.counters import Counters
from ferstream.runtime.supervisor import Fatal
from ferstream.settings import Settings
from ferstream.tracking.bytetrack import ByteTracker

REPLAY = "replay"
"""Node, run and ``boot_id`` of a replay without a broker: two runs make the same events."""
REPLAY_CHANNEL_ITEMS = 16
"""Frames of a recording that may wait between two stages, so that no core waits for another stage."""

_LOG = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunMode:
    """How live cameras and recordings differ.

    Attributes:
        deterministic: Whether the same frames must give the same results, however they were batched.
        new_run_id: Returns the part of the track ids that is new with each connection to a camera.
        max_hz_per_face: Highest rate of face events of a track in Hz; 0 = every event.
        config: Settings of the stages.
    """

    deterministic: bool
    new_run_id: Callable[[], str]
    max_hz_per_face: float
    config: PipelineConfig


def live_mode(settings: Settings) -> RunMode:
    """Return the mode of the daemon: late frames are dropped, track ids of two connections are unrelated."""
    config = PipelineConfig(
        staleness_s=settings.runtime.staleness_s,
        max_batch=settings.inference.max_batch,
        max_wait_s=settings.inference.max_wait_ms / 1000,
        summary_interval_s=settings.publishing.summary_interval_s,
        privacy=privacy_rules(settings),
    )
    return RunMode(deterministic=False, new_run_id=random_run_id, max_hz_per_face=settings.publishing.max_hz_per_face, config=config)


def replay_mode(settings: Settings, *, max_hz_per_face: float = 0.0) -> RunMode:
    """Return the mode of recordings: nothing is dropped, the same file gives the same events."""
    config = PipelineConfig(
        max_batch=settings.inference.max_batch,
        max_wait_s=0.0,
        summary_interval_s=0.0,
        channel_items=REPLAY_CHANNEL_ITEMS,
        privacy=privacy_rules(settings),
        spare_places=None,
    )
    return RunMode(deterministic=True, new_run_id=lambda: REPLAY, max_hz_per_face=max_hz_per_face, config=config)


def random_run_id() -> str:
    """Return a token that makes the track ids of two connections of a live camera unrelated."""
    return secrets.token_hex(3)


class Engine:
    """Loaded models and open sinks, from which pipelines are made.

    Attributes:
        settings: The settings it was made from.
        mode: How its pipelines run.
        models: Detector and classifier.
        outputs: Sets of sinks; each of them gets every event.
        fatal: Takes the first error that ends the run; None = each pipeline has its own.
        clock: Monotonic time and UTC.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        mode: RunMode,
        models: Models,
        outputs: Sequence[SinkSet],
        fatal: Fatal | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Keep the parts; the function ``engine`` loads and opens them.

        Args:
            settings: Values for tracking, labelling and inference.
            mode: How the pipelines run.
            models: Detector and classifier, loaded for the mode.
            outputs: Open sets of sinks.
            fatal: Takes the first error that ends the run, also of the sinks' threads; by default a new one per pipeline.
            clock: Monotonic time and UTC; by default the machine's.
        """
        self.settings, self.mode, self.models, self.outputs, self.fatal = settings, mode, models, tuple(outputs), fatal
        self.clock: Clock = clock or SystemClock()

    def new_pipeline(self, counters: Counters, view: LiveView | None = None) -> Pipeline:
        """Make a pipeline without cameras; frames that are lost by an error are logged and counted.

        Args:
            counters: Counts frames, faces and events.
            view: Shows the pipeline to people who look at it.
        """
        return Pipeline(
            components=self.components(counters, view),
            config=self.mode.config,
            counters=counters,
            clock=self.clock,
            on_error=_log_error,
            fatal=self.fatal,
        )

    def components(self, counters: Counters, view: LiveView | None = None) -> Components:
        """Make the adapters of the stages of one pipeline.

        Args:
            counters: Counts batches.
            view: Shows the pipeline to people who look at it.
        """
        return Components(
            finders=self.models.finders(None if view is None else view.keep_picture),
            new_tracker=lambda camera: new_tracker(self.settings, camera=camera, run=self.mode.new_run_id()),
            classify=self.models.classification(max_batch=self.settings.inference.max_batch, observer=counters),
            new_labeller=lambda camera: new_labeller(self.settings),
            publish=self._publish,
            allow=FaceRateLimit(max_hz=self.mode.max_hz_per_face).allows,
            view=view,
        )

    def new_watched_pipeline(
        self, counters: Counters, *, on_labelled: Callable[[LabelledFrame], None], on_detected: OnDetected | None = None
    ) -> Pipeline:
        """Make a pipeline as ``new_pipeline`` does, which also reports what it finds, without a rate limit.

        Args:
            counters: Counts frames, faces and events.
            on_labelled: Takes every labelled frame, in order, before it is published; may wait. The inference thread calls it.
            on_detected: Takes everything that was found in a frame, with low scores too; the detection threads call it.
        """
        made = self.components(counters)
        components = replace(
            made,
            finders=made.finders if on_detected is None else self.models.low_score_finders(on_detected),
            new_labeller=lambda camera: WatchedLabeller(made.new_labeller(camera), on_labelled),
        )
        return Pipeline(
            components=components,
            config=self.mode.config,
            counters=counters,
            clock=self.clock,
            on_error=_log_error,
            fatal=self.fatal,
        )

    def flush(self, timeout_s: float) -> int:
        """Deliver or store what the sinks hold; return how many messages are neither delivered nor stored."""
        return sum(output.flush(timeout_s) for output in self.outputs)

    def unsaved_events(self) -> int:
        """Return how many events of the outboxes are neither delivered nor on disk."""
        return sum(output.outbox.unsaved for output in self.outputs if output.outbox is not None)

    def _publish(self, event: Event) -> None:
        for output in self.outputs:
            output.write(event)


class WatchedLabeller:
    """A labeller that also hands each labelled frame to a function."""

    def __init__(self, labeller: Labeller, on_labelled: Callable[[LabelledFrame], None]) -> None:
        """Keep the parts.

        Args:
            labeller: Labels the tracks of one camera.
            on_labelled: Takes the labelled frames.
        """
        self._labeller, self._on_labelled = labeller, on_labelled

    def label(self, frame: TrackedFrame, probabilities: Sequence[Sequence[float] | None]) -> LabelledFrame:
        """Label every face of the next frame; see ``Labeller``."""
        labelled = self._labeller.label(frame, probabilities)
        self._on_labelled(labelled)
        return labelled


def new_tracker(settings: Settings, *, camera: str, run: str) -> ByteTracker:
    """Make the tracker of one connection of a camera.

    Args:
        settings: Values for tracking.
        camera: Name of the camera, the first part of each track id.
        run: Second part of each track id.
    """
    return ByteTracker(camera=camera, run=run, lifespan_s=settings.tracking.lifespan_s)


def new_labeller(settings: Settings) -> SmoothingLabeller:
    """Make the labeller of one connection of a camera."""
    tracking = settings.tracking
    return SmoothingLabeller(
        limits=EvidenceLimits(smoothing_s=tracking.smoothing_s),
        min_confidence=settings.inference.min_confidence,
        hold_s=tracking.hold_label_s,
    )


def encoder(
    models: Models, *, node: str, boot_id: str, availability: str | None = None, sources: Mapping[str, str] | None = None
) -> Encoder:
    """Make the encoder of one run; every event contains ``node`` and ``boot_id``.

    Args:
        models: The classifier, whose name is part of the events.
        node: Name of the node.
        boot_id: Id of the run.
        availability: MQTT topic of the availability, part of every camera state.
        sources: Name of the file by camera, for recordings; part of every event of such a camera.
    """
    model = ModelRef(models.classifier.name, models.classifier.version)
    return Encoder(node=node, boot_id=boot_id, model=model, clock=SystemClock(), availability=availability, sources=sources)


def load_models(settings: Settings, mode: RunMode) -> Models:
    """Load detector and classifier.

    Raises:
        ModelError: One of them cannot be used.
    """
    return Models(detection=detection_plan(settings), inference=inference_plan(settings, deterministic=mode.deterministic))


@contextmanager
def engine(
    settings: Settings, *, mode: RunMode, make_outputs: Callable[[Models], Sequence[SinkSet]], fatal: Fatal | None = None
) -> Iterator[Engine]:
    """Load the models, make and open the outputs; at the end close the outputs, the last one first, then the models.

    Args:
        settings: The settings.
        mode: ``live_mode`` or ``replay_mode``.
        make_outputs: Makes the outputs from the loaded models, whose name is part of every event.
        fatal: Takes the first error that ends the run; by default a new one per pipeline.

    Raises:
        ModelError: A model cannot be used.
        FerstreamError: A sink can never work. What was opened before is closed.
    """
    with ExitStack() as stack:
        models = load_models(settings, mode)
        stack.callback(models.close)
        outputs = make_outputs(models)
        for output in outputs:
            output.open()
            stack.callback(output.close)
        yield Engine(settings, mode=mode, models=models, outputs=outputs, fatal=fatal)


def _log_error(stage: str, error: BaseException) -> None:
    _LOG.error("a frame was lost", stage=stage, error=str(error), exc_info=error)
