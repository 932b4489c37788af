"""The engine: models and outputs from settings, what its pipelines are made of, and the order in which it is closed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from structlog.testing import capture_logs

from ferstream.app.assembly import Engine, RunMode, encoder, engine, live_mode, load_models, random_run_id, replay_mode
from ferstream.domain.emotion import LABELS, Abstained
from ferstream.domain.frame import Frame
from ferstream.errors import ConfigError, ModelError
from ferstream.events.encode import Encoder
from ferstream.pipeline.components import CameraCallbacks, Runner
from ferstream.pipeline.models import Models
from ferstream.publishing.sink_set import SinkSet
from ferstream.runtime.counters import Counters
from ferstream.runtime.supervisor import Fatal
from ferstream.settings import Settings
from tests.support.builders import detected_frame, face_event, frame, tracked_frame
from tests.support.clock import FakeClock
from tests.support.recording_sink import RecordingSink
from tests.support.runners import PATIENCE_S, ScriptedRunner

pytestmark = pytest.mark.usefixtures("no_new_threads")
MakeSettings = Callable[..., Settings]
MakeOutput = Callable[..., SinkSet]


@pytest.fixture
def make_output(encoder: Encoder, observer: Counters) -> MakeOutput:
    def make(*sinks: RecordingSink) -> SinkSet:
        return SinkSet(encoder=encoder, sinks=sinks, observer=observer)

    return make


def engine_of(settings: Settings, models: Models, *outputs: SinkSet, mode: RunMode | None = None, fatal: Fatal | None = None) -> Engine:
    return Engine(settings, mode=mode or live_mode(settings), models=models, outputs=outputs, fatal=fatal)


# -- modes ---------------------------------------------------------------------------------------


def test_live_mode_follows_the_settings(make_settings: MakeSettings) -> None:
    settings = make_settings(
        runtime={"staleness_s": 0.25},
        inference={"max_batch": 7, "max_wait_ms": 40.0},
        publishing={"max_hz_per_face": 3.0, "summary_interval_s": 9.0},
        privacy={"aggregate_only": True, "min_group_size": 4},
    )
    mode = live_mode(settings)
    config = mode.config
    assert (mode.deterministic, mode.max_hz_per_face) == (False, 3.0)
    assert (config.staleness_s, config.max_batch, config.max_wait_s, config.summary_interval_s) == (0.25, 7, 0.04, 9.0)
    assert (config.privacy.aggregate_only, config.privacy.smallest_group) == (True, 4)


def test_single_faces_are_published_unless_the_settings_want_sums_only(make_settings: MakeSettings) -> None:
    config = live_mode(make_settings(privacy={"min_group_size": 4})).config
    assert (config.privacy.aggregate_only, config.privacy.smallest_group) == (False, 0)


def test_replay_mode_depends_on_nothing_but_the_recording(make_settings: MakeSettings) -> None:
    settings = make_settings(
        inference={"max_batch": 7, "max_wait_ms": 40.0}, publishing={"max_hz_per_face": 3.0, "summary_interval_s": 9.0}
    )
    mode = replay_mode(settings)
    assert mode.deterministic
    assert {mode.new_run_id() for _ in range(3)} == {"replay"}
    assert (mode.max_hz_per_face, mode.config.max_wait_s, mode.config.summary_interval_s, mode.config.max_batch) == (0.0, 0.0, 0.0, 7)
    assert mode.config.channel_items > live_mode(settings).config.channel_items
    assert replay_mode(settings, max_hz_per_face=5.0).max_hz_per_face == 5.0


def test_track_ids_of_two_connections_of_a_live_camera_are_unrelated(make_settings: MakeSettings) -> None:
    drawn = {random_run_id() for _ in range(50)}
    assert len(drawn) > 45
    assert all(len(run) >= 4 for run in drawn)
    assert live_mode(make_settings()).new_run_id() != live_mode(make_settings()).new_run_id()


# -- what a pipeline is made of ------------------------------------------------------------------


def test_there_is_a_face_finder_for_each_detection_worker(make_settings: MakeSettings, models: Models, observer: Counters) -> None:
    components = engine_of(make_settings(), models).components(observer)
    assert len(components.finders) == 2
    assert components.finders[0](frame()).faces == ()


def test_the_classifier_gets_no_more_faces_at_once_than_the_settings_say(
    make_settings: MakeSettings, models: Models, observer: Counters
) -> None:
    classify = engine_of(make_settings(inference={"max_batch": 3}), models).components(observer).classify
    assert classify(np.zeros((7, 48, 48), np.uint8)).shape == (7, len(LABELS))
    assert (observer.snapshot().batches.count, observer.snapshot().batches.sum) == (3, 7.0)


@pytest.mark.parametrize(("min_confidence", "abstained"), [(0.5, None), (0.9, Abstained.LOW_CONFIDENCE)])
def test_labels_below_the_lowest_confidence_are_unknown(
    make_settings: MakeSettings, models: Models, observer: Counters, min_confidence: float, abstained: Abstained | None
) -> None:
    new_labeller = engine_of(make_settings(inference={"min_confidence": min_confidence}), models).components(observer).new_labeller
    (face,) = new_labeller("door").label(tracked_frame(), [sure_of("happy")]).faces
    assert (face.emotion.verdict.label, face.emotion.abstained) == ("unknown" if abstained else "happy", abstained)


@pytest.mark.parametrize(("smoothing_s", "label"), [(0.0, "sad"), (5.0, "happy")])
def test_labels_are_smoothed_over_the_time_of_the_settings(
    make_settings: MakeSettings, models: Models, observer: Counters, smoothing_s: float, label: str
) -> None:
    labeller = engine_of(make_settings(tracking={"smoothing_s": smoothing_s}), models).components(observer).new_labeller("door")
    for index in range(20):
        labeller.label(tracked_frame(index), [sure_of("happy")])
    (face,) = labeller.label(tracked_frame(20), [sure_of("sad")]).faces
    assert face.emotion.smoothed.label == label


def test_tracks_live_as_long_as_the_settings_say_and_carry_the_run(make_settings: MakeSettings, models: Models, observer: Counters) -> None:
    settings = make_settings(tracking={"lifespan_s": 0.2})
    tracker = engine_of(settings, models, mode=replay_mode(settings)).components(observer).new_tracker("door")
    tracker.update(detected_frame(0))
    (seen,) = tracker.update(detected_frame(1)).faces
    assert seen.track.id.startswith("door-replay-")
    assert not any(tracker.update(detected_frame(index, greys=())).ended for index in range(2, 6))  # frames are 40 ms apart
    assert [track.id for track in tracker.update(detected_frame(8, greys=())).ended] == [seen.track.id]


def test_face_events_are_limited_to_the_rate_of_the_mode(make_settings: MakeSettings, models: Models, observer: Counters) -> None:
    settings = make_settings(publishing={"max_hz_per_face": 5.0})
    limited = engine_of(settings, models).components(observer).allow
    every_one = engine_of(settings, models, mode=replay_mode(settings)).components(observer).allow
    events = [face_event(index) for index in range(25)]  # one second
    assert sum(map(limited, events)) == 5
    assert sum(map(every_one, events)) == 25


def test_every_output_gets_every_event(make_settings: MakeSettings, models: Models, observer: Counters, make_output: MakeOutput) -> None:
    first, second = RecordingSink("first"), RecordingSink("second")
    publish = engine_of(make_settings(), models, make_output(first), make_output(second)).components(observer).publish
    publish(face_event(0))
    publish(face_event(1))
    assert [message.seq for message in first.messages] == [0, 2]  # both outputs number with the same encoder
    assert [message.seq for message in second.messages] == [1, 3]


def test_events_name_the_node_the_run_and_the_model(models: Models) -> None:
    message = encoder(models, node="edge-7", boot_id="b1").encode(face_event())
    assert message.boot_id == "b1"
    assert b'"node":"edge-7"' in message.payload
    assert b'"model":{"name":"tiny","version":"1.0.0"}' in message.payload


# -- pipelines -----------------------------------------------------------------------------------


def run_frames(made: Engine, counters: Counters, frames: Sequence[Frame]) -> None:
    """Run a camera that delivers these frames through a pipeline of the engine, to the end."""

    def make(callbacks: CameraCallbacks) -> Runner:
        return ScriptedRunner("door", counters=counters, callbacks=callbacks, frames=frames)

    pipeline = made.new_pipeline(counters)
    pipeline.start()
    pipeline.cameras.add("door", live=False, make_runner=make)
    pipeline.seal()
    assert pipeline.join(PATIENCE_S)


def test_a_pipeline_takes_frames_to_the_outputs(
    make_settings: MakeSettings, models: Models, observer: Counters, make_output: MakeOutput
) -> None:
    sink = RecordingSink()
    run_frames(engine_of(make_settings(), models, make_output(sink)), observer, [frame(0), frame(1)])
    assert observer.snapshot().frames["door", "publishing"] == 2
    assert {message.schema for message in sink.messages} == {"ferstream.state/1", "ferstream.summary/1"}


def test_a_frame_that_a_stage_cannot_handle_is_counted_and_logged(make_settings: MakeSettings, models: Models, observer: Counters) -> None:
    good, bad = frame(0), frame(1)
    bad = Frame(info=bad.info, luma=bad.luma, detection_image=np.zeros((32,), np.uint8))
    with capture_logs() as logs:
        run_frames(engine_of(make_settings(), models), observer, [good, bad])
    assert observer.snapshot().frames["door", "publishing"] == 1
    assert observer.snapshot().dropped == {("door", "detection", "error"): 1}
    assert [(entry["event"], entry["stage"], entry["log_level"]) for entry in logs] == [("a frame was lost", "detection", "error")]


def test_the_pipelines_of_a_run_report_to_its_fatal(make_settings: MakeSettings, models: Models, observer: Counters) -> None:
    fatal = Fatal()
    settings = make_settings()
    assert engine_of(settings, models, fatal=fatal).new_pipeline(observer).fatal is fatal
    alone = engine_of(settings, models)
    assert alone.new_pipeline(observer).fatal is not alone.new_pipeline(observer).fatal


def test_the_clock_is_the_machine_s_or_the_one_that_was_given(make_settings: MakeSettings, models: Models) -> None:
    settings, clock = make_settings(), FakeClock()
    assert Engine(settings, mode=live_mode(settings), models=models, outputs=(), clock=clock).clock is clock
    assert engine_of(settings, models).clock.utc_ns() > clock.utc_ns()


# -- life ----------------------------------------------------------------------------------------


def works(models: Models) -> bool:
    try:
        models.classifier.classify(np.zeros((1, 48, 48), np.uint8))
    except ModelError:
        return False
    return True


def test_outputs_are_closed_last_one_first_and_before_the_models(make_settings: MakeSettings, make_output: MakeOutput) -> None:
    log: list[str] = []
    first, second = RecordingSink("first", log=log), RecordingSink("second", log=log)
    loaded: list[Models] = []

    def outputs(models: Models) -> list[SinkSet]:
        loaded.append(models)
        for sink in (first, second):
            sink.before_close = lambda: log.append(f"models work: {works(models)}")
        return [make_output(first), make_output(second)]

    settings = make_settings()
    with engine(settings, mode=live_mode(settings), make_outputs=outputs) as made:
        assert works(made.models)
        assert log == ["open first", "open second"]
        assert (made.settings, made.models) == (settings, loaded[0])
        assert len(made.outputs) == 2
    assert log[2:] == ["models work: True", "close second", "models work: True", "close first"]
    assert not works(loaded[0])


def test_an_output_that_cannot_be_opened_closes_what_is_open(make_settings: MakeSettings, make_output: MakeOutput) -> None:
    log: list[str] = []
    sinks = [RecordingSink(name, log=log) for name in ("first", "second", "third")]
    sinks[1].open_error = ConfigError("no such certificate")
    loaded: list[Models] = []

    def outputs(models: Models) -> list[SinkSet]:
        loaded.append(models)
        return [make_output(sink) for sink in sinks]

    settings = make_settings()
    with (
        pytest.raises(ConfigError, match="no such certificate"),
        engine(settings, mode=live_mode(settings), make_outputs=outputs),
    ):
        pytest.fail("the engine must not run")
    assert log == ["open first", "open second", "close second", "close first"]
    assert not works(loaded[0])


def test_outputs_that_cannot_be_made_close_the_models(make_settings: MakeSettings) -> None:
    loaded: list[Models] = []

    def outputs(models: Models) -> list[SinkSet]:
        loaded.append(models)
        raise ConfigError("wrong prefix")

    settings = make_settings()
    with pytest.raises(ConfigError, match="wrong prefix"), engine(settings, mode=live_mode(settings), make_outputs=outputs):
        pytest.fail("the engine must not run")
    assert not works(loaded[0])


def test_an_error_while_it_runs_closes_everything_too(make_settings: MakeSettings, make_output: MakeOutput) -> None:
    sink = RecordingSink()
    settings = make_settings()
    with pytest.raises(RuntimeError, match="stage"), engine(settings, mode=live_mode(settings), make_outputs=lambda _: [make_output(sink)]):
        raise RuntimeError("stage")
    assert sink.log == ["open recording", "close recording"]


def test_an_unknown_model_is_an_error_before_anything_is_opened(make_settings: MakeSettings) -> None:
    settings = make_settings(inference={"model": "no-such-model"})
    with pytest.raises(ModelError, match="no-such-model"):
        load_models(settings, live_mode(settings))
    with (
        pytest.raises(ModelError, match="no-such-model"),
        engine(settings, mode=live_mode(settings), make_outputs=lambda _: pytest.fail("made outputs")),
    ):
        pytest.fail("the engine must not run")


def test_flush_adds_up_what_the_outputs_could_not_deliver(make_settings: MakeSettings, models: Models, make_output: MakeOutput) -> None:
    first, second = RecordingSink("first"), RecordingSink("second")
    first.unflushed, second.unflushed = 2, 3
    assert engine_of(make_settings(), models, make_output(first), make_output(second)).flush(1.0) == 5
    assert engine_of(make_settings(), models).flush(1.0) == 0


def sure_of(label: str) -> list[float]:
    return [0.7 if name == label else 0.05 for name in LABELS]
