"""Batches become labelled frames, also when the classifier or a labeller fails."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from ferstream.domain.emotion import LABELS
from ferstream.domain.event import LabelledFrame, TrackChange
from ferstream.domain.frame import EndOfStream
from ferstream.domain.ports import Labeller
from ferstream.domain.track import TrackState
from ferstream.errors import ClosedError
from ferstream.inference.batch_classifier import BatchClassifier
from ferstream.inference.batcher import Batcher, Item
from ferstream.inference.stage import FAILED_BATCHES_IN_A_ROW, InferenceHandler, Labelled
from ferstream.runtime.channel import Channel
from ferstream.runtime.counters import Counters
from ferstream.runtime.stage import Stage
from ferstream.runtime.staleness import ExpectedTime, StalenessLimit
from tests.support.builders import track, tracked_frame
from tests.support.classifiers import ScriptedClassifier
from tests.support.clock import FakeClock
from tests.support.run_stage import StageRun
from tests.support.runners import PATIENCE_S, Scripted, ScriptedLabeller
from tests.support.threads import Task, wait_until

pytestmark = pytest.mark.usefixtures("no_new_threads")

Run = StageRun[list[Item], list[Labelled]]


class Bench:
    """A handler whose counts, errors and labellers are recorded.

    Args:
        classify: Classifies crops; None for a scripted classifier.
        labeller: Makes a labeller; None for one that does not fail.
    """

    def __init__(
        self,
        classify: Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]] | None = None,
        *,
        labeller: Callable[[], Labeller] = ScriptedLabeller,
    ) -> None:
        self.counters, self.clock = Counters(), FakeClock()
        self.errors: list[Exception] = []
        self.fatal: list[tuple[str, BaseException]] = []
        self.labellers: list[str] = []
        self._labeller = labeller
        self.handler = InferenceHandler(
            classify=classify or BatchClassifier(ScriptedClassifier(), max_batch=8, observer=self.counters),
            new_labeller=self._new_labeller,
            limit=StalenessLimit(budget_s=0.5, rest=ExpectedTime(), deviations=0.0, clock=self.clock),
            observer=self.counters,
            on_error=self.errors.append,
            on_fatal=lambda name, exc: self.fatal.append((name, exc)),
        )

    def _new_labeller(self, camera: str) -> Labeller:
        self.labellers.append(camera)
        return self._labeller()

    @property
    def faces(self) -> dict[str, int]:
        """Number of faces by outcome, of all cameras."""
        sums: dict[str, int] = {}
        for (_, outcome), count in self.counters.snapshot().faces.items():
            sums[outcome] = sums.get(outcome, 0) + count
        return sums


def broken(crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """A classifier whose device fails."""
    raise Scripted("device lost")


class TestHandler:
    """Batches of several cameras, with skipped faces, ends of sources and failures."""

    def test_probabilities_go_to_their_faces_across_frames_and_cameras(self) -> None:
        bench = Bench()
        batch: list[Item] = [
            tracked_frame(0, greys=(3, None, 5), camera="door"),
            tracked_frame(0, greys=(), camera="yard"),
            EndOfStream("yard", final=True),
            tracked_frame(1, greys=(6,), camera="door"),
        ]
        first, second, end, third = bench.handler(batch)
        assert labels_of(first) == [LABELS[3], "unknown", LABELS[5]]
        assert labels_of(second) == []
        assert end is batch[2]
        assert labels_of(third) == [LABELS[6]]
        assert bench.faces == {"classified": 3, "skipped": 1}
        assert bench.counters.snapshot().frames == {("door", "inference"): 2, ("yard", "inference"): 1}

    def test_a_frame_that_ends_a_stream_is_marked_and_not_counted(self) -> None:
        bench = Bench()
        (end_of_stream,) = bench.handler([tracked_frame(3, greys=(), ended=(track(1, state=TrackState.LEFT),), end_of_stream=True)])
        assert isinstance(end_of_stream, LabelledFrame)
        assert end_of_stream.end_of_stream
        assert [event.change for event in end_of_stream.changes] == [TrackChange.LEFT]
        assert bench.counters.snapshot().frames == {}

    def test_each_connection_has_a_labeller_of_its_own(self) -> None:
        bench = Bench()
        bench.handler([tracked_frame(0), tracked_frame(1)])
        bench.handler([EndOfStream("door", final=False), tracked_frame(2)])
        assert bench.labellers == ["door", "door"]

    def test_a_failing_classifier_drops_faces_and_frames_but_not_ends_of_tracks(self) -> None:
        bench = Bench(broken)
        gone = track(2, state=TrackState.LEFT)
        frame, end = bench.handler([tracked_frame(0, greys=(1, None), ended=(gone,)), EndOfStream("door", final=True)])
        assert isinstance(frame, LabelledFrame)
        assert frame.faces == ()
        assert [event.track.id for event in frame.changes] == [gone.id]
        assert frame.end_of_stream  # so that it is not counted as published
        assert end == EndOfStream("door", final=True)
        snapshot = bench.counters.snapshot()
        assert snapshot.dropped == {("door", "inference", "error"): 1}
        assert bench.faces == {"dropped": 2}
        assert snapshot.counts == {("classifier_errors", ""): 1}
        assert [str(error) for error in bench.errors] == ["device lost"]
        assert bench.fatal == []

    def test_a_batch_without_crops_does_not_call_the_classifier(self) -> None:
        bench = Bench(broken)
        bench.handler([tracked_frame(0, greys=(None, None)), tracked_frame(1, greys=())])
        assert bench.errors == []
        assert bench.faces == {"skipped": 2}

    def test_many_failures_in_a_row_are_fatal_once(self) -> None:
        bench = Bench(broken)
        for count in range(1, FAILED_BATCHES_IN_A_ROW + 5):
            bench.handler([tracked_frame(count)])
            assert len(bench.fatal) == (count >= FAILED_BATCHES_IN_A_ROW)
        assert bench.fatal[0][0] == "inference"
        assert str(bench.fatal[0][1]) == "device lost"

    def test_one_success_resets_the_number_of_failures(self) -> None:
        failures = [Scripted("lost")] * (FAILED_BATCHES_IN_A_ROW - 1)
        script = (*failures, None, *failures)
        bench = Bench(BatchClassifier(ScriptedClassifier(failures=script), max_batch=8, observer=Counters()))
        for index in range(len(script)):
            bench.handler([tracked_frame(index)])
        assert len(bench.errors) == len(failures) * 2
        assert bench.fatal == []

    def test_frames_without_faces_do_not_reset_the_number_of_failures(self) -> None:
        bench = Bench(broken)
        for index in range(FAILED_BATCHES_IN_A_ROW):
            bench.handler([tracked_frame(index)])
            bench.handler([tracked_frame(index, greys=())])
        assert len(bench.fatal) == 1

    def test_a_stale_live_frame_is_dropped_but_not_its_ends_of_tracks(self) -> None:
        classifier = ScriptedClassifier()
        bench = Bench(BatchClassifier(classifier, max_batch=8, observer=Counters()))
        captured_ns, gone = bench.clock.monotonic_ns(), track(2, state=TrackState.LEFT)
        bench.clock.advance(0.6)
        old = tracked_frame(0, greys=(1, None), ended=(gone,), live=True, captured_ns=captured_ns)
        fresh = tracked_frame(1, greys=(2,), live=True, captured_ns=captured_ns + 200_000_000)
        film = tracked_frame(2, greys=(3,), camera="film", captured_ns=captured_ns)
        last = tracked_frame(3, greys=(), ended=(track(1, state=TrackState.LEFT),), end_of_stream=True, live=True, captured_ns=captured_ns)
        results = bench.handler([old, fresh, film, last])
        assert [labels_of(result) for result in results] == [[], [LABELS[2]], [LABELS[3]], []]
        assert [len(result.changes) for result in results if isinstance(result, LabelledFrame)] == [1, 0, 0, 1]
        assert classifier.calls == [2]
        assert bench.faces == {"classified": 2, "dropped": 2}
        assert bench.counters.snapshot().dropped == {("door", "inference", "stale"): 1}

    def test_a_stale_frame_is_counted_as_stale_when_the_classifier_fails(self) -> None:
        bench = Bench(broken)
        captured_ns = bench.clock.monotonic_ns()
        bench.clock.advance(0.6)
        now_ns = bench.clock.monotonic_ns()
        bench.handler([tracked_frame(0, live=True, captured_ns=captured_ns), tracked_frame(1, live=True, captured_ns=now_ns)])
        assert bench.counters.snapshot().dropped == {("door", "inference", "stale"): 1, ("door", "inference", "error"): 1}

    def test_a_failing_labeller_drops_its_frame_and_not_the_others(self) -> None:
        bench = Bench(labeller=lambda: ScriptedLabeller(fails_at=[1]))
        results = bench.handler([tracked_frame(index, greys=(index, index, None)) for index in range(3)])
        assert [labels_of(result) for result in results] == [[LABELS[0]] * 2 + ["unknown"], [], [LABELS[2]] * 2 + ["unknown"]]
        assert bench.faces == {"classified": 4, "skipped": 2, "dropped": 3}
        assert bench.counters.snapshot().dropped == {("door", "inference", "error"): 1}
        assert bench.counters.snapshot().frames == {("door", "inference"): 2}

    def test_a_labeller_that_always_fails_is_fatal(self) -> None:
        class Never(ScriptedLabeller):
            def label(self, frame: object, probabilities: object) -> LabelledFrame:
                raise Scripted("never")

        bench = Bench(labeller=Never)
        for index in range(FAILED_BATCHES_IN_A_ROW):
            (result,) = bench.handler([tracked_frame(index)])
            assert isinstance(result, LabelledFrame)
            assert (result.faces, result.changes, result.end_of_stream) == ((), (), True)
        assert len(bench.fatal) == 1
        assert bench.faces == {"dropped": FAILED_BATCHES_IN_A_ROW}


def labels_of(item: Labelled) -> list[str]:
    """The labels of a frame's faces."""
    assert isinstance(item, LabelledFrame)
    return [event.emotion.verdict.label for event in item.faces]


class TestStopWhileBlocked:
    """The stage as the pipeline builds it: a batcher as input, a channel as output."""

    def stage(self, source: Channel[Item], target: Channel[Labelled], run: Run) -> Stage[list[Item], list[Labelled]]:
        def emit(batch: list[Item], results: list[Labelled]) -> None:
            for result in results:
                try:
                    target.put(result)
                except ClosedError:
                    run.results.append([result])

        batcher = Batcher(source, max_faces=4, max_wait_s=10 * PATIENCE_S)
        return Stage(name="inference", handlers=[Bench().handler], hooks=run.hooks(batcher.take, emit=emit), observer=run.counters)

    @pytest.mark.parametrize("already", [0, 1])
    def test_blocked_on_an_empty_input_or_in_the_middle_of_a_batch(self, already: int) -> None:
        source: Channel[Item] = Channel(capacity=4)
        target: Channel[Labelled] = Channel(capacity=4)
        run: Run = StageRun()
        stage = self.stage(source, target, run)
        stage.start()
        for index in range(already):
            source.put(tracked_frame(index))
        wait_until(lambda: not len(source))
        source.close()
        assert stage.join(PATIENCE_S)
        assert not any(thread.is_alive() for thread in stage.threads)
        assert len(target) == already
        assert run.ends == 1

    def test_blocked_on_a_full_output(self) -> None:
        source: Channel[Item] = Channel(capacity=8)
        target: Channel[Labelled] = Channel(capacity=1)
        run: Run = StageRun()
        stage = self.stage(source, target, run)
        for index in range(8):
            source.put(tracked_frame(index))
        source.close()
        stage.start()
        wait_until(lambda: target.blocked_writers == 1)
        waiting = Task(lambda: stage.join(PATIENCE_S))
        assert len(target.abandon()) == 1
        assert waiting.result()
        assert not any(thread.is_alive() for thread in stage.threads)
        assert len(run.results) == 7
        assert (run.fatal, run.failed, run.ends) == ([], [], 1)
