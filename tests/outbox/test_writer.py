"""The writer of the outbox on a disk that fails as the test says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ferstream.errors import OutboxCorruptError, OutboxError
from ferstream.outbox.rows import Row
from ferstream.outbox.store import FILE_NAME, Store
from tests.support.brokers import until
from tests.support.threads import Task
from tests.support.writer_bench import FailingStore, WriterBench

pytestmark = pytest.mark.usefixtures("no_new_threads")


@pytest.fixture
def make_bench(tmp_path: Path) -> Iterator[Callable[..., WriterBench]]:
    """Makes writers; closes them at the end."""
    made: list[WriterBench] = []

    def make(**options: Any) -> WriterBench:
        made.append(WriterBench(tmp_path, **options))
        return made[-1]

    yield make
    for bench in made:
        bench.writer.close(10)


@pytest.fixture
def bench(make_bench: Callable[..., WriterBench]) -> WriterBench:
    return make_bench()


@pytest.mark.parametrize("error", [OutboxError("disk is full"), RuntimeError("a bug"), MemoryError()])
def test_a_failed_write_is_tried_again_and_nothing_is_lost(bench: WriterBench, error: BaseException) -> None:
    bench.store.errors = [error, error]
    bench.writer.start()
    bench.add(10)
    bench.writer.wake()
    assert bench.store.failed.wait(10)
    until(lambda: bench.writer.degraded is None and bench.all_safe())
    assert bench.stored() == list(range(10))
    assert bench.counts().balanced


def test_what_is_only_on_disk_is_read_back_while_writes_fail(make_bench: Callable[..., WriterBench]) -> None:
    bench = make_bench(memory={"resident_events": 0})
    bench.writer.start()
    bench.add_stored(900)
    bench.store.broken = OutboxError("read-only file system")
    bench.add(5, first=900)
    bench.writer.wake()
    assert bench.store.failed.wait(10)
    assert [(delivery.seq, delivery.payload) for delivery in bench.take(905)] == [(n, b"%d" % n) for n in range(905)]
    until(lambda: bench.writer.degraded == "read-only file system")
    assert bench.dropped == []


def test_a_disk_too_full_to_write_to_is_still_deleted_from(bench: WriterBench) -> None:
    bench.writer.start()
    bench.add_stored(5)
    bench.store.full = OutboxError("disk is full")
    bench.reader.acknowledge(bench.reader.take(3))
    bench.add(1, first=5)
    bench.writer.wake()
    until(lambda: bench.state.rows == 2)
    assert bench.writer.degraded is not None or bench.store.failed.wait(10)
    bench.store.full = None
    assert bench.stored() == [3, 4, 5]


@pytest.mark.parametrize("acknowledged", [3, 5])
def test_a_file_that_cannot_be_deleted_is_taken_up_again_without_doubles(
    bench: WriterBench, monkeypatch: pytest.MonkeyPatch, acknowledged: int
) -> None:
    def stuck(store: Store) -> None:
        store.close()
        removed.set()
        raise OutboxError("cannot be deleted")

    removed = threading.Event()
    monkeypatch.setattr(Store, "remove", stuck)
    bench.writer.start()
    bench.add_stored(5)
    bench.reader.acknowledge(bench.reader.take(acknowledged))
    if acknowledged == 5:
        bench.store.errors = [OutboxError("disk is full")]
        bench.writer.wake()
        assert removed.wait(10)
    else:
        bench.store.close()  # whatever closed it
    until(lambda: bench.store.is_open and bench.writer.degraded is None)
    assert bench.stored() == list(range(acknowledged, 5))
    counts = bench.counts()
    assert (counts.recovered, counts.acknowledged, counts.events, counts.dropped) == (0, acknowledged, 5 - acknowledged, {})
    assert bench.dropped == []


def test_a_disk_that_hangs_is_reported_while_it_does(make_bench: Callable[..., WriterBench]) -> None:
    bench = make_bench(slow_s=0.05)
    bench.writer.start()
    bench.store.thaw.clear()
    bench.add(3)
    bench.writer.wake()
    until(lambda: "has not answered for" in (bench.writer.degraded or ""))
    bench.store.thaw.set()
    until(lambda: bench.writer.degraded is None and bench.all_safe())
    assert bench.stored() == [0, 1, 2]


def test_a_file_that_turns_out_corrupt_while_running_is_replaced(bench: WriterBench, tmp_path: Path) -> None:
    bench.writer.start()
    bench.add(5)
    until(bench.all_safe)
    bench.store.errors = [OutboxCorruptError("malformed")]
    bench.add(5, first=5)
    bench.writer.wake()
    until(lambda: bench.corrupt_files == 1 and bench.all_safe())
    assert (tmp_path / f"{FILE_NAME}.corrupt-1").exists()
    assert bench.stored() == list(range(10))
    assert bench.dropped == []


def test_what_was_only_in_the_corrupt_file_is_counted(make_bench: Callable[..., WriterBench]) -> None:
    bench = make_bench(memory={"resident_events": 1, "prefetch_events": 0})
    bench.writer.start()
    bench.add_stored(3)
    bench.store.errors = [OutboxCorruptError("malformed")]
    bench.add(1, first=3)
    bench.writer.wake()
    until(lambda: len(bench.dropped) == 2)
    until(bench.all_safe)
    assert bench.stored() == [2, 3]
    assert bench.counts().dropped == {"corrupt": 2}
    assert bench.counts().balanced


def test_a_file_that_cannot_even_be_set_aside_means_memory(bench: WriterBench, monkeypatch: pytest.MonkeyPatch) -> None:
    def stuck(_: Store) -> Path:
        raise OutboxError("cannot be renamed")

    bench.writer.start()
    monkeypatch.setattr(Store, "set_aside", stuck)
    bench.store.errors = [OutboxCorruptError("malformed")]
    bench.add(3)
    bench.writer.wake()
    assert bench.store.failed.wait(10)
    until(bench.all_safe)
    assert bench.stored() == [0, 1, 2]


def test_a_disk_too_full_to_delete_from_is_freed_by_deleting_the_file(bench: WriterBench, tmp_path: Path) -> None:
    bench.writer.start()
    bench.add(5)
    until(bench.all_safe)
    bench.store.errors = [OutboxError("disk is full")]
    bench.reader.acknowledge(bench.reader.take(5))
    bench.writer.wake()
    assert bench.store.failed.wait(10)
    until(lambda: bench.state.rows == 0 and bench.writer.degraded is None)
    assert bench.stored() == []


def test_acknowledged_while_it_is_being_written(bench: WriterBench, monkeypatch: pytest.MonkeyPatch) -> None:
    add = FailingStore.add

    def slow(store: FailingStore, new: Sequence[Row]) -> None:
        bench.reader.acknowledge(bench.reader.take(1))
        add(store, new)

    monkeypatch.setattr(FailingStore, "add", slow)
    bench.writer.start()
    bench.add(4)
    bench.writer.wake()
    until(bench.all_safe)
    counts = bench.counts()
    assert bench.stored() == list(range(counts.acknowledged, 4))
    assert counts.acknowledged >= 1 and counts.balanced


def test_new_events_are_written_at_once_while_older_ones_on_disk_are_needed(make_bench: Callable[..., WriterBench]) -> None:
    bench = make_bench(spill_after_s=3600.0)
    bench.writer.start()
    bench.writer.hurry(True)
    bench.add_stored(3)
    bench.writer.hurry(False)
    bench.add(1, first=3)
    until(bench.all_safe)
    bench.reader.acknowledge(bench.take(4))
    until(lambda: bench.state.rows == 0)
    bench.add(1, first=4)
    assert bench.state.wait_safe(0.3) == 1  # no older event waits, so the sinks have their time for it


def test_the_publishing_thread_waits_while_events_that_should_be_on_disk_are_not(make_bench: Callable[..., WriterBench]) -> None:
    bench = make_bench(late_s=0.0)
    bench.writer.start()
    bench.store.thaw.clear()
    bench.add(3)
    bench.writer.wake()
    waiting = Task(bench.writer.wait_while_late)
    assert waiting.alive
    assert not bench.all_safe()
    bench.store.thaw.set()
    waiting.result()
    assert bench.all_safe()


@pytest.mark.parametrize("hangs", [False, True])
def test_the_publishing_thread_does_not_wait_for_a_disk_that_fails_or_hangs(make_bench: Callable[..., WriterBench], hangs: bool) -> None:
    bench = make_bench(late_s=0.0, slow_s=0.05)
    bench.writer.start()
    if hangs:
        bench.store.thaw.clear()
    else:
        bench.store.broken = OutboxError("disk is full")
    bench.add(3)
    bench.writer.wake()
    Task(bench.writer.wait_while_late).result()
    assert bench.writer.degraded is not None
    assert not bench.all_safe()
    bench.store.broken = None
    bench.store.thaw.set()


def test_nobody_waits_for_a_writer_that_was_not_started(make_bench: Callable[..., WriterBench]) -> None:
    bench = make_bench(late_s=0.0)
    bench.add(3)
    Task(bench.writer.wait_while_late).result()


def test_close_without_start(bench: WriterBench) -> None:
    assert bench.writer.close(1)


def test_the_store_reads_many_rows_at_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.open()
    store.add([Row(n, "door", "s", "b", n, 0, b"%d" % n) for n in range(1, 1300)])
    assert store.load(range(1, 1300)) == {n: b"%d" % n for n in range(1, 1300)}
    store.close()
    for call in (lambda: store.load([1]), lambda: store.add([]), lambda: store.delete([]), store.shrink):
        with pytest.raises(OutboxError, match="not open"):
            call()


def test_corrupt_files_are_numbered(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        (tmp_path / FILE_NAME).write_text("rubbish")
        assert Store(tmp_path).set_aside().name == f"{FILE_NAME}.corrupt-{number}"


def test_a_file_of_another_version_is_not_touched(tmp_path: Path) -> None:
    import sqlite3

    with sqlite3.connect(tmp_path / FILE_NAME) as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(OutboxCorruptError, match="another version"):
        Store(tmp_path).open()
