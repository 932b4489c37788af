"""The outbox's thread on a disk that fails by script."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from ferstream.errors import OutboxCorruptError, OutboxError
from ferstream.events.payload import FACE
from ferstream.outbox import writer
from ferstream.outbox.fair_queue import Item
from ferstream.outbox.state import Custody, Lost
from ferstream.outbox.store import FILE_NAME, NewRow, Store
from ferstream.outbox.writer import Spool
from tests.support.brokers import until

pytestmark = pytest.mark.usefixtures("no_new_threads")


class FailingStore(Store):
    """A real store whose writes raise what the test says, or wait for it.

    Attributes:
        errors: Raised by the next writes, one each.
        broken: Raised by every write.
        full: Raised by every write of an event; deletions go through.
        thaw: Writes wait until it is set.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.errors: list[BaseException] = []
        self.broken: OutboxError | None = None
        self.full: OutboxError | None = None
        self.failed, self.thaw = threading.Event(), threading.Event()
        self.thaw.set()

    def add(self, new: Sequence[NewRow]) -> None:
        """Fail if the script says so."""
        self._play(self.full)
        super().add(new)

    def delete(self, gone: Sequence[int]) -> None:
        """Fail if the script says so."""
        self._play(None)
        super().delete(gone)

    def _play(self, full: OutboxError | None) -> None:
        self.thaw.wait(10)
        error = self.errors.pop(0) if self.errors else self.broken or full
        if error is not None:
            self.failed.set()
            raise error


class Bench:
    """A spool with all its parts, and what it told."""

    def __init__(self, directory: Path) -> None:
        self.custody = Custody(max_events=1000, max_bytes=100_000, durable=True)
        self.store = FailingStore(directory)
        self.lost: Lost = []
        self.corrupt_files = 0
        self.spool = Spool(
            custody=self.custody,
            store=self.store,
            spill_after_s=0.0,
            retry_s=0.01,
            on_lost=self.lost.extend,
            on_ready=lambda: None,
            on_corrupt_file=self._count,
        )

    def _count(self) -> None:
        self.corrupt_files += 1

    def add(self, count: int, first: int = 0) -> None:
        for seq in range(first, first + count):
            payload = f"{seq}".encode()
            self.custody.append(Item(camera="door", schema=FACE, boot_id="b", seq=seq, size=len(payload), payload=payload))

    def store_all(self, count: int) -> None:
        """Add events and wait until they are on disk."""
        self.add(count)
        until(lambda: self.custody.wait_safe(0) == 0)

    def unload(self) -> None:
        """Take the payloads out of memory, as a long backlog does."""
        for item in self.custody._lanes.waiting():
            item.payload = None
            self.custody._resident -= 1

    def take(self, count: int) -> list[int]:
        """Take so many, as the sender does, waiting until they were read back; their numbers."""
        seqs: list[int] = []

        def step() -> bool:
            items, hungry = self.custody.take(count - len(seqs))
            seqs.extend(item.seq for item in items)
            if hungry:
                self.spool.wake()
            return len(seqs) >= count

        until(step)
        return seqs

    def stored(self) -> list[int]:
        """Numbers on disk, after the end."""
        assert self.spool.close(10)
        seqs = [head.seq for head in self.store.open()]
        self.store.close()
        return seqs


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.spool.close(10)


@pytest.mark.parametrize("error", [OutboxError("disk is full"), RuntimeError("a bug"), MemoryError()])
def test_a_failed_write_is_tried_again_and_nothing_is_lost(bench: Bench, error: BaseException) -> None:
    bench.store.errors = [error, error]
    bench.spool.start()
    bench.add(10)
    bench.spool.wake()
    assert bench.store.failed.wait(10)
    until(lambda: bench.spool.degraded is None and bench.custody.wait_safe(0) == 0)
    assert bench.stored() == list(range(10))
    assert bench.custody.balance().holds


def test_what_is_only_on_disk_is_read_back_while_writes_fail(bench: Bench) -> None:
    bench.spool.start()
    bench.store_all(900)
    bench.unload()
    bench.store.broken = OutboxError("read-only file system")
    bench.add(5, first=900)
    bench.spool.wake()
    assert bench.store.failed.wait(10)
    assert bench.take(905) == list(range(905))
    assert bench.spool.degraded == "read-only file system"
    assert bench.lost == []


def test_a_disk_too_full_to_write_to_is_still_deleted_from(bench: Bench) -> None:
    bench.spool.start()
    bench.store_all(5)
    bench.store.full = OutboxError("disk is full")
    items, _ = bench.custody.take(3)
    bench.custody.acknowledge(items)
    bench.add(1, first=5)
    bench.spool.wake()
    until(lambda: bench.custody.rows == 2)
    assert bench.spool.degraded is not None or bench.store.failed.wait(10)
    bench.store.full = None
    assert bench.stored() == [3, 4, 5]


@pytest.mark.parametrize("acknowledged", [3, 5])
def test_a_file_that_cannot_be_deleted_is_taken_up_again_without_doubles(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, acknowledged: int
) -> None:
    def stuck(store: Store) -> None:
        store.close()
        removed.set()
        raise OutboxError("cannot be deleted")

    removed = threading.Event()
    monkeypatch.setattr(Store, "remove", stuck)
    bench.spool.start()
    bench.store_all(5)
    items, _ = bench.custody.take(acknowledged)
    bench.custody.acknowledge(items)
    if acknowledged == 5:
        bench.store.errors = [OutboxError("disk is full")]
        bench.spool.wake()
        assert removed.wait(10)
    else:
        bench.store.close()  # whatever closed it
    until(lambda: bench.store.is_open and bench.spool.degraded is None)
    assert bench.stored() == list(range(acknowledged, 5))
    balance = bench.custody.balance()
    assert (balance.recovered, balance.acknowledged, balance.events, balance.dropped) == (0, acknowledged, 5 - acknowledged, {})
    assert bench.lost == []


def test_a_disk_that_hangs_is_told_while_it_does(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "SLOW_S", 0.05)
    bench.spool.start()
    bench.store.thaw.clear()
    bench.add(3)
    bench.spool.wake()
    until(lambda: "has not answered for" in (bench.spool.degraded or ""))
    bench.store.thaw.set()
    until(lambda: bench.spool.degraded is None and bench.custody.wait_safe(0) == 0)
    assert bench.stored() == [0, 1, 2]


def test_a_file_that_turns_out_corrupt_while_running_is_replaced(bench: Bench, tmp_path: Path) -> None:
    bench.spool.start()
    bench.add(5)
    until(lambda: bench.custody.wait_safe(0) == 0)
    bench.store.errors = [OutboxCorruptError("malformed")]
    bench.add(5, first=5)
    bench.spool.wake()
    until(lambda: bench.corrupt_files == 1 and bench.custody.wait_safe(0) == 0)
    assert (tmp_path / f"{FILE_NAME}.corrupt-1").exists()
    assert bench.stored() == list(range(10))
    assert bench.lost == []


def test_what_was_only_in_the_corrupt_file_is_counted(bench: Bench) -> None:
    bench.spool.start()
    bench.add(3)
    until(lambda: bench.custody.wait_safe(0) == 0)
    for item in bench.custody._lanes.waiting()[1:]:
        item.payload = None
        bench.custody._resident -= 1
    bench.store.errors = [OutboxCorruptError("malformed")]
    bench.add(1, first=3)
    bench.spool.wake()
    until(lambda: len(bench.lost) == 2)
    until(lambda: bench.custody.wait_safe(0) == 0)
    assert bench.stored() == [0, 3]
    assert bench.custody.balance().dropped == {"corrupt": 2}
    assert bench.custody.balance().holds


def test_a_file_that_cannot_even_be_set_aside_means_memory(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def stuck(_: Store) -> Path:
        raise OutboxError("cannot be renamed")

    bench.spool.start()
    monkeypatch.setattr(Store, "set_aside", stuck)
    bench.store.errors = [OutboxCorruptError("malformed")]
    bench.add(3)
    bench.spool.wake()
    assert bench.store.failed.wait(10)
    until(lambda: bench.custody.wait_safe(0) == 0)
    assert bench.stored() == [0, 1, 2]


def test_a_disk_too_full_to_delete_from_is_freed_by_deleting_the_file(bench: Bench, tmp_path: Path) -> None:
    bench.spool.start()
    bench.add(5)
    until(lambda: bench.custody.wait_safe(0) == 0)
    bench.store.errors = [OutboxError("disk is full")]
    items, _ = bench.custody.take(5)
    bench.custody.acknowledge(items)
    bench.spool.wake()
    assert bench.store.failed.wait(10)
    until(lambda: bench.custody.rows == 0 and bench.spool.degraded is None)
    assert bench.stored() == []


def test_acknowledged_while_it_is_being_written(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    add = FailingStore.add

    def slow(store: FailingStore, new: Sequence[NewRow]) -> None:
        items, _ = bench.custody.take(1)
        bench.custody.acknowledge(items)
        add(store, new)

    monkeypatch.setattr(FailingStore, "add", slow)
    bench.spool.start()
    bench.add(4)
    bench.spool.wake()
    until(lambda: bench.custody.wait_safe(0) == 0)
    balance = bench.custody.balance()
    assert bench.stored() == list(range(balance.acknowledged, 4))
    assert balance.acknowledged >= 1 and balance.holds


def test_close_without_start(bench: Bench) -> None:
    assert bench.spool.close(1)


def test_the_store_reads_many_rows_at_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.open()
    store.add([NewRow(n, "door", "s", "b", n, 0, b"%d" % n) for n in range(1, 1300)])
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
