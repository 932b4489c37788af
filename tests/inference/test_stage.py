"""Classification in pieces, and batches that become labelled frames whatever the classifier does."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.domain.emotion import LABELS
from ferstream.domain.event import LabelledFrame, TrackChange
from ferstream.domain.frame import EndOfStream
from ferstream.domain.track import TrackState
from ferstream.errors import ClassifierMemoryError, ClosedError, ModelError
from ferstream.inference.batcher import Batcher, Item
from ferstream.inference.stage import FAILED_BATCHES_IN_A_ROW, Classification, InferenceHandler, Labelled
from ferstream.runtime.channel import Channel
from ferstream.runtime.counters import Counters
from ferstream.runtime.stage import Stage
from tests.support.builders import track, tracked_frame
from tests.support.classifiers import ScriptedClassifier
from tests.support.clock import FakeClock
from tests.support.run_stage import StageRun
from tests.support.runners import PATIENCE_S, Scripted, ScriptedLabeller
from tests.support.threads import Task, wait_until

pytestmark = pytest.mark.usefixtures("no_new_threads")

Run = StageRun[list[Item], list[Labelled]]
OUT_OF_MEMORY = ClassifierMemoryError("out of memory")


def crops(greys: Sequence[int]) -> npt.NDArray[np.uint8]:
    """One even crop per grey."""
    return np.array([np.full((48, 48), grey, np.uint8) for grey in greys], np.uint8).reshape(-1, 48, 48)


class SmallMemory(ScriptedClassifier):
    """Runs out of memory above so many faces at once."""

    def __init__(self, *, room: int) -> None:
        super().__init__(max_batch=64)
        self._room = room

    def classify(self, crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        if len(crops) > self._room:
            raise OUT_OF_MEMORY
        return super().classify(crops)


class TestClassification:
    """n in = n out, in order, whatever the limit."""

    @given(st.lists(st.integers(0, 255), max_size=40), st.integers(1, 20), st.integers(1, 20))
    def test_every_face_gets_its_own_row(self, greys: list[int], max_batch: int, announced: int) -> None:
        counters, classifier = Counters(), ScriptedClassifier(max_batch=announced)
        rows = Classification(classifier, max_batch=max_batch, observer=counters)(crops(greys))
        assert rows.shape == (len(greys), 7)
        assert rows.argmax(axis=1).tolist() == [grey % 7 for grey in greys]
        assert all(size <= min(max_batch, announced) for size in classifier.calls)
        assert counters.snapshot().batches.sum == len(greys)

    def test_nothing_in_is_nothing_out_and_no_call(self) -> None:
        classifier = ScriptedClassifier()
        rows = Classification(classifier, max_batch=8, observer=Counters())(crops([]))
        assert rows.shape == (0, 7)
        assert rows.dtype == np.float32
        assert classifier.calls == []

    @given(st.integers(1, 40), st.integers(1, 33))
    def test_it_halves_until_a_batch_fits_and_goes_on(self, faces: int, room: int) -> None:
        counters, classifier = Counters(), SmallMemory(room=room)
        classify = Classification(classifier, max_batch=32, observer=counters)
        rows = classify(crops(range(faces)))
        assert rows.argmax(axis=1).tolist() == [grey % 7 for grey in range(faces)]
        halvings = counters.snapshot().counts.get(("batch_limit_halved", ""), 0)
        assert classify.limit == 32 >> halvings
        assert all(size <= room for size in classifier.calls)

    def test_the_smaller_limit_stays(self) -> None:
        counters, classifier = Counters(), SmallMemory(room=4)
        classify = Classification(classifier, max_batch=32, observer=counters)
        for _ in range(3):
            classify(crops(range(16)))
        assert classify.limit == 4
        assert counters.snapshot().counts == {("batch_limit_halved", ""): 3}  # 32, 16, 8 once each
        assert classifier.calls == [4] * 12

    def test_memory_for_not_even_one_face_says_what_to_do(self) -> None:
        classify = Classification(SmallMemory(room=0), max_batch=2, observer=Counters())
        with pytest.raises(ModelError, match=r"not enough memory for one face.*inference\.backend"):
            classify(crops([1]))

    def test_another_number_of_rows_is_a_fault_of_the_model(self) -> None:
        class Short(ScriptedClassifier):
            def classify(self, crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
                return super().classify(crops)[1:]

        with pytest.raises(ModelError, match="scripted: 3 faces in, 2 out"):
            Classification(Short(), max_batch=8, observer=Counters())(crops([1, 2, 3]))


class Bench:
    """A handler with everything around it recorded."""

    def __init__(
        self, classify: Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]] | None = None, *, labels_fail_at: Sequence[int] = ()
    ) -> None:
        self.counters, self.clock = Counters(), FakeClock()
        self.errors: list[Exception] = []
        self.fatal: list[tuple[str, BaseException]] = []
        self.labellers: list[str] = []
        self._fails_at = labels_fail_at
        self.handler = InferenceHandler(
            classify=classify or Classification(ScriptedClassifier(), max_batch=8, observer=self.counters),
            new_labeller=self._new_labeller,
            staleness_s=0.5,
            observer=self.counters,
            clock=self.clock,
            on_error=self.errors.append,
            on_fatal=lambda name, exc: self.fatal.append((name, exc)),
        )

    def _new_labeller(self, camera: str) -> ScriptedLabeller:
        self.labellers.append(camera)
        return ScriptedLabeller(fails_at=self._fails_at)

    @property
    def faces(self) -> dict[str, int]:
        """Faces by outcome, of all cameras."""
        sums: dict[str, int] = {}
        for (_, outcome), count in self.counters.snapshot().faces.items():
            sums[outcome] = sums.get(outcome, 0) + count
        return sums


def broken(crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """A classifier that fails."""
    raise Scripted("device lost")


class TestHandler:
    """Batches of several cameras, with faces to skip, ends and failures."""

    def test_rows_find_their_faces_across_frames_and_cameras(self) -> None:
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

    def test_a_closing_frame_stays_closing_and_is_not_counted(self) -> None:
        bench = Bench()
        (end_of_stream,) = bench.handler([tracked_frame(3, greys=(), ended=(track(1, state=TrackState.LEFT),), end_of_stream=True)])
        assert isinstance(end_of_stream, LabelledFrame)
        assert end_of_stream.end_of_stream
        assert [turn.change for turn in end_of_stream.changes] == [TrackChange.LEFT]
        assert bench.counters.snapshot().frames == {}

    def test_a_labeller_lives_from_a_first_frame_to_its_source_s_end(self) -> None:
        bench = Bench()
        bench.handler([tracked_frame(0), tracked_frame(1)])
        bench.handler([EndOfStream("door", final=False), tracked_frame(2)])
        assert bench.labellers == ["door", "door"]

    def test_a_failing_classifier_costs_the_faces_and_frames_but_not_the_ends(self) -> None:
        bench = Bench(broken)
        gone = track(2, state=TrackState.LEFT)
        frame, end = bench.handler([tracked_frame(0, greys=(1, None), ended=(gone,)), EndOfStream("door", final=True)])
        assert isinstance(frame, LabelledFrame)
        assert frame.faces == ()
        assert [turn.track.id for turn in frame.changes] == [gone.id]
        assert frame.end_of_stream  # it must not be counted as published
        assert end == EndOfStream("door", final=True)
        snapshot = bench.counters.snapshot()
        assert snapshot.dropped == {("door", "inference", "error"): 1}
        assert bench.faces == {"dropped": 2}
        assert snapshot.counts == {("classifier_errors", ""): 1}
        assert [str(error) for error in bench.errors] == ["device lost"]
        assert bench.fatal == []

    def test_a_batch_without_crops_never_asks_the_classifier(self) -> None:
        bench = Bench(broken)
        bench.handler([tracked_frame(0, greys=(None, None)), tracked_frame(1, greys=())])
        assert bench.errors == []
        assert bench.faces == {"skipped": 2}

    def test_it_is_fatal_after_so_many_failures_in_a_row_and_once(self) -> None:
        bench = Bench(broken)
        for count in range(1, FAILED_BATCHES_IN_A_ROW + 5):
            bench.handler([tracked_frame(count)])
            assert len(bench.fatal) == (count >= FAILED_BATCHES_IN_A_ROW)
        assert bench.fatal[0][0] == "inference"
        assert str(bench.fatal[0][1]) == "device lost"

    def test_one_success_starts_the_count_again(self) -> None:
        failures = [Scripted("lost")] * (FAILED_BATCHES_IN_A_ROW - 1)
        script = (*failures, None, *failures)
        bench = Bench(Classification(ScriptedClassifier(failures=script), max_batch=8, observer=Counters()))
        for index in range(len(script)):
            bench.handler([tracked_frame(index)])
        assert len(bench.errors) == len(failures) * 2
        assert bench.fatal == []

    def test_frames_without_faces_do_not_hide_a_broken_classifier(self) -> None:
        bench = Bench(broken)
        for index in range(FAILED_BATCHES_IN_A_ROW):
            bench.handler([tracked_frame(index)])
            bench.handler([tracked_frame(index, greys=())])
        assert len(bench.fatal) == 1

    def test_a_live_frame_that_grew_stale_is_dropped_and_its_ends_go_through(self) -> None:
        classifier = ScriptedClassifier()
        bench = Bench(Classification(classifier, max_batch=8, observer=Counters()))
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

    def test_a_frame_stays_stale_when_the_classifier_fails_on_the_others(self) -> None:
        bench = Bench(broken)
        captured_ns = bench.clock.monotonic_ns()
        bench.clock.advance(0.6)
        now_ns = bench.clock.monotonic_ns()
        bench.handler([tracked_frame(0, live=True, captured_ns=captured_ns), tracked_frame(1, live=True, captured_ns=now_ns)])
        assert bench.counters.snapshot().dropped == {("door", "inference", "stale"): 1, ("door", "inference", "error"): 1}

    def test_a_failing_labeller_costs_its_frame_and_not_the_rest_of_the_batch(self) -> None:
        bench = Bench(labels_fail_at=[1])
        results = bench.handler([tracked_frame(index, greys=(index, index, None)) for index in range(3)])
        assert [labels_of(result) for result in results] == [[LABELS[0]] * 2 + ["unknown"], [], [LABELS[2]] * 2 + ["unknown"]]
        assert bench.faces == {"classified": 4, "skipped": 2, "dropped": 3}
        assert bench.counters.snapshot().dropped == {("door", "inference", "error"): 1}
        assert bench.counters.snapshot().frames == {("door", "inference"): 2}

    def test_a_labeller_that_always_fails_is_fatal_too(self) -> None:
        class Never(ScriptedLabeller):
            def label(self, frame: object, probabilities: object) -> LabelledFrame:
                raise Scripted("never")

        bench = Bench()
        bench.handler._new_labeller = lambda camera: Never()
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
    """The stage as the pipeline joins it: batcher in, channel out."""

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
    def test_before_an_empty_input_or_in_the_middle_of_a_batch(self, already: int) -> None:
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

    def test_before_a_full_output(self) -> None:
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
