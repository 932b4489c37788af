"""The scheduler with simulated workers, in virtual time."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.archive.plan import WHOLE
from ferstream.archive.scheduling.actions import CheckSeams, Limits, RecordingWork, StartWorker, Submit
from ferstream.archive.scheduling.scheduler import Scheduler
from ferstream.archive.tasks import Done, Failed, Finished, Ready, Task
from ferstream.errors import ConfigError, DataError, OutputError, WorkerError
from tests.support.simulated_workers import Fate, Result, Script, Simulation

CHUNK = 1000
"""Pictures of a chunk: ten seconds of a worker."""


def divided(number: int, chunks: int, **fields: object) -> RecordingWork:
    return RecordingWork(number=number, title=f"{number}.mp4", frames=dict.fromkeys(range(chunks), CHUNK), **fields)  # type: ignore[arg-type]


def whole(number: int, frames: int = CHUNK) -> RecordingWork:
    return RecordingWork(number=number, title=f"{number}.ts", frames={WHOLE: frames})


def fates(table: dict[tuple[int, int, int], Fate]) -> Script:
    """Return a script: (recording, chunk, attempt) -> what happens; everything else is done."""
    return Script(fate=lambda task, attempt: table.get((task.recording, task.chunk, attempt), Fate()))


def always(recording: int, fate: Fate) -> Script:
    return Script(fate=lambda task, attempt: fate if task.recording == recording else Fate())


def test_every_chunk_is_given_once_if_nothing_fails() -> None:
    result = Simulation([divided(0, 7), whole(1), divided(2, 5)], workers=3).run()
    assert set(result.submitted.values()) == {1}
    assert {number: list(files) for number, files in result.closed.items()} == {0: [*range(7)], 1: [WHOLE], 2: [*range(5)]}
    assert not result.failed
    assert not result.notices


def test_nothing_to_do_is_finished_at_once_without_a_worker() -> None:
    simulation = Simulation([], workers=3)
    assert simulation.run().seconds == 0


def test_no_more_workers_are_started_than_there_are_chunks() -> None:
    scheduler = Scheduler([divided(0, 2), whole(1)], workers=8)
    assert [action for action in scheduler.actions(0.0) if isinstance(action, StartWorker)] == [
        StartWorker(0),
        StartWorker(1),
        StartWorker(2),
    ]


def test_a_worker_keeps_its_recording_as_long_as_it_has_chunks() -> None:
    scheduler = Scheduler([divided(0, 10), divided(1, 10), divided(2, 10)], workers=2)
    seen: dict[int, list[int]] = {0: [], 1: []}
    scheduler.actions(0.0)
    for worker in (0, 1):
        scheduler.handle(Ready(worker, {}, "here"), 1.0)
    now = 1.0
    for _ in range(8):
        for action in scheduler.actions(now):
            if isinstance(action, Submit):
                seen[action.worker].append(action.task.recording)
                scheduler.handle(Finished(action.worker, action.task, _done(action.task)), now)
        now += 1
    assert seen == {0: [0] * 8, 1: [1] * 8}


def _done(task: Task, digest: str = "0" * 16) -> Done:
    return Done(f"chunks/{task.recording:06d}-{task.chunk:05d}-{digest}.npz", CHUNK, 0, 0, 1.0)


def test_all_workers_help_with_the_last_recording() -> None:
    result = Simulation([divided(0, 40)], workers=4, script=Script(load_s=0.0)).run()
    assert result.seconds == pytest.approx(100.0)


def test_so_many_recordings_are_open_at_a_time_as_the_limit_says() -> None:
    result = Simulation([divided(number, 3) for number in range(50)], workers=4, limits=Limits(open_recordings=6)).run()
    assert result.most_open == 6
    assert len(result.closed) == 50


def test_results_of_an_earlier_run_are_not_made_again() -> None:
    kept = {0: "chunks/000000-00000-a.npz", 2: "chunks/000000-00002-b.npz"}
    result = Simulation([divided(0, 4, results=kept)], workers=2).run()
    assert set(result.submitted) == {Task(0, 1), Task(0, 3)}
    assert result.closed[0][0] == kept[0]
    assert list(result.closed[0]) == [0, 1, 2, 3]


def test_recordings_whose_results_are_all_there_are_closed_without_a_worker() -> None:
    works = [divided(number, 1, results={0: f"chunks/{number:06d}-00000-a.npz"}) for number in range(100)]
    simulation = Simulation(works, workers=2)
    result = simulation.run()
    assert len(result.closed) == 100
    assert result.seconds == 0


def test_a_result_of_the_whole_recording_is_taken_instead_of_chunks() -> None:
    kept = {0: "chunks/000000-00000-a.npz", WHOLE: "chunks/000000-whole-b.npz"}
    result = Simulation([divided(0, 4, results=kept)], workers=2).run()
    assert result.closed == {0: {WHOLE: kept[WHOLE]}}


def test_a_chunk_whose_worker_was_killed_is_given_again() -> None:
    result = Simulation([divided(0, 3)], workers=2, script=fates({(0, 1, 0): Fate("died", 0.5)})).run()
    assert result.submitted == {Task(0, 0): 1, Task(0, 1): 2, Task(0, 2): 1}
    assert result.notices == ["0.mp4, chunk 1: worker 1 was killed by SIGKILL"]


@pytest.mark.parametrize(("kind", "attempts"), [("crashed", 3), ("failed", 3), ("died", 60), ("gone", 1)])
def test_a_recording_fails_alone(kind: str, attempts: int) -> None:
    result = Simulation([divided(0, 3), divided(1, 2), divided(2, 3)], workers=2, script=always(1, Fate(kind))).run()
    assert set(result.closed) == {0, 2}
    assert set(result.failed) == {1}
    assert max(count for task, count in result.submitted.items() if task.recording == 1) == attempts


def test_a_failed_attempt_is_repeated_after_a_while() -> None:
    script = fates({(0, 0, 0): Fate("failed"), (0, 0, 1): Fate("failed")})
    result = Simulation([divided(0, 1)], workers=1, script=script, limits=Limits(retry_s=2.0)).run()
    assert result.seconds == pytest.approx(3 + 10 + 2 + 10 + 8 + 10)


def test_a_recording_that_differs_from_its_plan_is_read_as_a_whole() -> None:
    result = Simulation([divided(0, 6), divided(1, 2)], workers=3, script=fates({(0, 2, 0): Fate("differs", 0.1)})).run()
    assert result.closed[0] == {WHOLE: "chunks/000000-whole-0000000000000000.npz"}
    assert list(result.closed[1]) == [0, 1]


def test_the_chunks_of_a_recording_that_is_read_as_a_whole_are_dropped() -> None:
    simulation = Simulation([divided(0, 100)], workers=2, script=fates({(0, 0, 0): Fate("differs", 0.1)}))
    result = simulation.run()
    assert sum(result.submitted.values()) == 3
    assert simulation.scheduler.counts.whole == 1


def test_a_recording_whose_seams_do_not_fit_is_read_as_a_whole() -> None:
    script = Script(check=lambda check: "" if WHOLE in check.files else "the pictures at the seam of chunk 1 differ")
    result = Simulation([divided(0, 3)], workers=1, script=script).run()
    assert list(result.closed[0]) == [WHOLE]
    assert result.notices == ["0.mp4 is read as a whole: the pictures at the seam of chunk 1 differ"]


def test_a_damaged_result_is_made_again() -> None:
    answers = iter(["damaged", ""])
    result = Simulation([divided(0, 3)], workers=1, script=Script(check=lambda check: next(answers))).run()
    assert result.submitted == {Task(0, 0): 2, Task(0, 1): 1, Task(0, 2): 1}


def test_a_straggler_is_done_by_a_second_worker() -> None:
    script = fates({(0, 7, 0): Fate(slower=50.0)})
    simulation = Simulation([divided(0, 8)], workers=2, script=script)
    result = simulation.run()
    assert result.seconds < 3 + 40 + 20 + 11
    assert simulation.scheduler.counts.duplicates == 1
    assert list(result.closed[0]) == [*range(8)]


def test_a_worker_that_hangs_at_the_end_does_not_stop_the_run_though_the_other_died() -> None:
    script = fates({(0, 2, 0): Fate("hangs"), (0, 3, 0): Fate("died")})
    result = Simulation([divided(0, 4)], workers=2, script=script).run()
    assert list(result.closed[0]) == [*range(4)]


def test_the_only_worker_is_stopped_where_it_hangs() -> None:
    script = fates({(0, 1, 0): Fate("hangs")})
    result = Simulation([divided(0, 3)], workers=1, script=script, limits=Limits(hang_s=300.0)).run()
    assert result.submitted[Task(0, 1)] == 2
    assert list(result.closed[0]) == [0, 1, 2]


def test_a_chunk_that_takes_long_is_given_more_time_at_the_next_attempt() -> None:
    script = fates({(0, 1, attempt): Fate(slower=60.0) for attempt in range(5)})
    result = Simulation([divided(0, 3)], workers=1, script=script, limits=Limits(hang_s=300.0)).run()
    assert result.submitted[Task(0, 1)] == 2
    assert not result.failed


def test_a_whole_recording_may_take_as_long_as_it_takes() -> None:
    script = fates({(1, WHOLE, 0): Fate(slower=1000.0)})
    result = Simulation([divided(0, 3), whole(1)], workers=1, script=script, limits=Limits(hang_s=300.0)).run()
    assert result.submitted[Task(1, WHOLE)] == 1


def _two_results(mixed: bool, digest: str) -> Scheduler:
    """Return a scheduler, two workers of which report results of the same chunk at one time."""
    scheduler = Scheduler([divided(0, 2)], workers=2, mixed=mixed)
    scheduler.actions(0.0)
    scheduler.handle(Ready(0, {}, "anna"), 0.0)
    scheduler.handle(Ready(1, {}, "bert"), 0.0)
    scheduler.actions(0.0)
    scheduler.handle(Finished(0, Task(0, 0), _done(Task(0, 0))), 10.0)
    scheduler.actions(10.0)
    assert Submit(0, Task(0, 1)) in scheduler.actions(100.0)
    scheduler.handle(Finished(1, Task(0, 1), _done(Task(0, 1))), 110.0)
    scheduler.handle(Finished(0, Task(0, 1), _done(Task(0, 1), digest)), 110.0)
    return scheduler


def test_two_results_of_a_chunk_that_differ_end_the_run_and_name_both_machines() -> None:
    with pytest.raises(DataError, match=r"0.mp4, chunk 1: bert and anna have different results .* do not compute the same"):
        _two_results(mixed=False, digest="f" * 16)


def test_with_mixed_machines_the_first_result_is_taken_with_a_notice() -> None:
    actions = _two_results(mixed=True, digest="f" * 16).actions(111.0)
    assert [action.files[1][-8:] for action in actions if isinstance(action, CheckSeams)] == ["0000.npz"]
    assert any("different results" in str(action) for action in actions)


def test_equal_results_of_a_chunk_are_fine() -> None:
    assert any(isinstance(action, CheckSeams) for action in _two_results(mixed=False, digest="0" * 16).actions(111.0))


def test_a_failure_that_concerns_all_ends_the_run() -> None:
    scheduler = Scheduler([divided(0, 2)], workers=1)
    scheduler.actions(0.0)
    scheduler.handle(Ready(0, {}, "anna"), 0.0)
    scheduler.actions(0.0)
    with pytest.raises(OutputError, match=r"the disk is full \(worker 0 on anna\)"):
        scheduler.handle(Finished(0, Task(0, 0), Failed("the disk is full", stops_all=True)), 1.0)


def test_a_chunk_that_hangs_before_anything_is_measured_is_given_again() -> None:
    script = Script(fate=lambda task, attempt: Fate("hangs" if task.chunk == 0 and attempt == 0 else "done"))
    result = Simulation([divided(0, 2)], workers=1, script=script, limits=Limits(hang_s=60.0)).run()
    assert len(result.closed[0]) == 2
    assert 60.0 <= result.seconds < 120.0


def test_a_worker_that_never_gets_ready_is_left_out() -> None:
    simulation = Simulation([divided(0, 20)], workers=2, script=Script(start=lambda worker, count: "cannot load" if worker == 0 else ""))
    result = simulation.run()
    assert len(result.closed[0]) == 20
    assert "worker 0 does not start and is not used any more: cannot load" in result.notices


def test_if_no_worker_gets_ready_the_run_ends_with_the_reason() -> None:
    with pytest.raises(WorkerError, match="no worker starts: exit code 1: no such model"):
        Simulation([divided(0, 20)], workers=3, script=Script(start=lambda worker, count: "exit code 1: no such model")).run()


@pytest.mark.parametrize(("ending", "times"), [("crashed", 5), ("killed by SIGKILL", 50)])
def test_a_worker_that_ended_some_times_before_it_was_ready_is_used(ending: str, times: int) -> None:
    result = Simulation([divided(0, 2)], workers=1, script=Script(start=lambda worker, count: ending if count < times else "")).run()
    assert len(result.closed[0]) == 2


def test_a_worker_that_is_killed_whenever_it_starts_is_left_out_in_the_end() -> None:
    with pytest.raises(WorkerError, match="no worker starts: killed by SIGKILL"):
        Simulation([divided(0, 2)], workers=1, script=Script(start=lambda worker, count: "killed by SIGKILL")).run()


def test_a_refused_worker_gets_nothing_and_the_last_one_ends_the_run() -> None:
    scheduler = Scheduler([divided(0, 2)], workers=2)
    scheduler.actions(0.0)
    scheduler.refuse(1, "has no AVX-512")
    scheduler.handle(Ready(1, {}, "late"), 0.0)
    assert not any(isinstance(action, Submit) for action in scheduler.actions(0.0))
    with pytest.raises(ConfigError, match="has no AVX2"):
        scheduler.refuse(0, "has no AVX2")


def _works(count: int, chunks: int) -> Iterator[RecordingWork]:
    for number in range(count):
        yield divided(number, chunks) if number % 10 else whole(number)


def _peak_of(recordings: int) -> int:
    """Return the most memory that a scheduler takes for so many recordings of 100 chunks; results are given at once."""
    tracemalloc.start()
    try:
        scheduler = Scheduler(_works(recordings, 100), workers=8)
        now = 0.0
        while not scheduler.is_finished:
            for action in scheduler.actions(now):
                if isinstance(action, StartWorker):
                    scheduler.handle(Ready(action.worker, {}, "here"), now)
                elif isinstance(action, Submit):
                    scheduler.handle(Finished(action.worker, action.task, _done(action.task)), now)
                elif isinstance(action, CheckSeams):
                    scheduler.close(action.recording)
            now += 1.0
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_the_memory_does_not_grow_with_the_number_of_chunks() -> None:
    few, many = _peak_of(12), _peak_of(112)
    assert many < 1.5 * few, f"{few} bytes for 1,100 chunks, {many} for 10,100"


KINDS = ["done"] * 8 + ["died", "crashed", "failed", "gone", "differs", "slow", "hangs"]


@given(
    chunks=st.lists(st.integers(0, 6), max_size=8),
    workers=st.integers(1, 6),
    kinds=st.lists(st.sampled_from(KINDS), max_size=60),
    starts=st.lists(st.booleans(), max_size=12),
    checks=st.lists(st.sampled_from(["", "", "", "damaged", "seam"]), max_size=10),
    limits=st.builds(Limits, open_recordings=st.sampled_from([None, 1, 2]), deaths=st.integers(1, 4), hang_s=st.just(60.0)),
)
def test_whatever_fails_each_recording_is_closed_once_or_named_as_failed(
    chunks: list[int], workers: int, kinds: list[str], starts: list[bool], checks: list[str], limits: Limits
) -> None:
    """0 chunks: not divided. Whole recordings do not hang: nobody can say how long they take."""
    next_kind, next_start, next_check = iter(kinds), iter(starts), iter(checks)

    def fate(task: Task, attempt: int) -> Fate:
        kind = next(next_kind, "done")
        if kind == "slow":
            return Fate(slower=10.0)
        return Fate("died") if kind == "hangs" and task.is_whole else Fate(kind)

    def check(found: CheckSeams) -> str:
        answer = next(next_check, "")
        return "" if answer == "seam" and WHOLE in found.files else answer

    works = [divided(number, count) if count else whole(number) for number, count in enumerate(chunks)]
    script = Script(fate=fate, check=check, start=lambda worker, count: "killed" if count < 3 and next(next_start, False) else "")
    simulation = Simulation(works, workers=workers, script=script, limits=limits)
    _check_sums(simulation, simulation.run(), chunks)


def _check_sums(simulation: Simulation, result: Result, chunks: list[int]) -> None:
    assert result.closed.keys() | result.failed.keys() == set(range(len(chunks)))
    assert not result.closed.keys() & result.failed.keys()
    for number, files in result.closed.items():
        assert list(files) in ([WHOLE], list(range(chunks[number])))
        assert len(set(files.values())) == len(files)
    counts = simulation.scheduler.counts
    assert counts.submitted == sum(result.submitted.values())
    assert counts.failed == len(result.failed)
    assert counts.finished >= sum(map(len, result.closed.values()))
    repeated = sum(count - 1 for count in result.submitted.values())
    assert repeated <= counts.retries + counts.duplicates + sum(Counter(result.notices).values())
