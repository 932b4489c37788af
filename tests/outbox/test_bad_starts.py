"""A start on a bad day: a locked file, a read-only disk, a full disk. Nothing is lost, nothing is out of order."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ferstream.errors import OutboxBusyError, OutboxError
from ferstream.events.schemas import SCHEMAS
from ferstream.outbox.outbox import Outbox
from ferstream.outbox.reader import OutboxReader
from ferstream.outbox.store import FILE_NAME, Store
from ferstream.outbox.timings import OutboxTimings
from tests.support.brokers import until
from tests.support.outbox_process import used_by_another_process, write_and_die
from tests.support.outboxes import make_outbox, message

pytestmark = pytest.mark.usefixtures("no_new_threads")

IMPATIENT = OutboxTimings(spill_after_s=0.05, retry_s=0.05, lock_wait_s=0.0)
PATIENT = OutboxTimings(spill_after_s=0.05, retry_s=0.05, lock_wait_s=120.0)
LEFT = 200


class TwoReaders:
    """An outbox with the readers ``mqtt`` and ``webhook``."""

    def __init__(self, folder: Path, timings: OutboxTimings = IMPATIENT) -> None:
        self.outbox: Outbox = make_outbox(folder, timings=timings)
        self.readers = [self.outbox.reader(name, schemas=SCHEMAS, on_ready=lambda: None) for name in ("mqtt", "webhook")]

    def drain(self, reader: OutboxReader, count: int) -> list[int]:
        """Take and acknowledge so many events of a reader; their numbers."""
        seqs: list[int] = []

        def step() -> bool:
            deliveries = reader.take(64)
            seqs.extend(delivery.seq for delivery in deliveries)
            reader.acknowledge(deliveries)
            return len(seqs) >= count

        until(step)
        return seqs

    def drain_all(self, count: int) -> None:
        """Let both readers take everything, in order."""
        for reader in self.readers:
            assert self.drain(reader, count) == list(range(count))
        assert all(reader.counts().balanced for reader in self.readers)


def stored(folder: Path) -> list[tuple[int, str]]:
    """Numbers and readers of the rows of a closed file."""
    with contextlib.closing(sqlite3.connect(folder / FILE_NAME)) as db:
        return list(db.execute("SELECT seq, readers FROM events ORDER BY id"))


def fill(folder: Path) -> None:
    """Leave not one byte free."""
    for size in (4096, 1):
        with contextlib.suppress(OSError), (folder / f"ballast-{size}").open("wb", buffering=0) as ballast:
            while True:
                ballast.write(bytes(size))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("mounting a disk needs root")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def remount(disk: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", disk], check=True)


class TestLocked:
    def test_a_lock_that_passes_is_waited_for(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        write_and_die(tmp_path, LEFT)
        box = TwoReaders(tmp_path, PATIENT)
        with used_by_another_process(tmp_path, "read") as reader:
            opening = threading.Thread(target=box.outbox.open)
            opening.start()
            until(lambda: "waiting for it for up to 120 s" in caplog.text)
            reader.kill()
            opening.join()
        assert box.outbox.degraded is None
        assert box.outbox.events == LEFT
        box.drain_all(LEFT)
        assert box.outbox.close()

    @pytest.mark.parametrize("how", ["read", "hold"])
    def test_a_lock_that_stays_means_memory_until_it_is_gone(self, tmp_path: Path, caplog: pytest.LogCaptureFixture, how: str) -> None:
        write_and_die(tmp_path, LEFT)
        box = TwoReaders(tmp_path)
        with used_by_another_process(tmp_path, how):
            box.outbox.open()
            assert "in use by another process; give each ferstream its own outbox.path" in (box.outbox.degraded or "")
            assert box.outbox.events == 0
            box.outbox.append(message(LEFT))
            assert [delivery.seq for delivery in box.readers[0].take(10)] == [LEFT]
            box.readers[0].give_back()
        until(lambda: box.outbox.degraded is None)
        assert caplog.text.count("kept in memory") == 1
        box.drain_all(LEFT + 1)
        assert box.outbox.close()
        assert stored(tmp_path) == []

    def test_a_read_only_file_that_another_process_writes_is_left_alone(self, tmp_path: Path) -> None:
        write_and_die(tmp_path, 3)
        store = Store(tmp_path)
        with used_by_another_process(tmp_path, "hold"), pytest.raises(OutboxBusyError):
            store.open_read_only()
        assert len(store.open_read_only()) == 3
        store.close()


class TestReadOnlyDisk:
    def test_what_is_on_it_is_sent_in_order_before_newer_events(self, disk: Path) -> None:
        write_and_die(disk, LEFT)
        assert (disk / f"{FILE_NAME}-wal").stat().st_size > 0
        remount(disk, "ro")
        box = TwoReaders(disk)
        box.outbox.open()
        assert "read-only" in (box.outbox.degraded or "")
        assert box.outbox.events == LEFT
        for seq in range(LEFT, LEFT + 10):
            box.outbox.append(message(seq))
        box.drain_all(LEFT + 10)
        remount(disk, "rw")
        until(lambda: box.outbox.degraded is None)
        assert box.outbox.close()
        assert stored(disk) == []

    def test_what_one_reader_took_meanwhile_is_remembered(self, disk: Path) -> None:
        write_and_die(disk, LEFT)
        remount(disk, "ro")
        box = TwoReaders(disk)
        box.outbox.open()
        box.drain(box.readers[0], LEFT)
        assert box.readers[1].events == LEFT
        remount(disk, "rw")
        until(lambda: box.outbox.degraded is None)
        assert box.outbox.close()
        assert stored(disk) == [(seq, "webhook") for seq in range(LEFT)]

    def test_events_that_did_not_fit_are_unsaved_at_the_end(self, disk: Path) -> None:
        write_and_die(disk, LEFT)
        remount(disk, "ro")
        box = TwoReaders(disk)
        box.outbox.open()
        box.outbox.append(message(LEFT))
        assert box.outbox.flush(0.1) == 1
        assert box.outbox.close()
        assert box.outbox.unsaved == 1

    def test_a_file_of_version_1_is_read(self, disk: Path) -> None:
        with contextlib.closing(sqlite3.connect(disk / FILE_NAME, isolation_level=None)) as db:
            db.execute("CREATE TABLE events (id INTEGER PRIMARY KEY, camera, schema, boot_id, seq, crc, payload)")
            db.execute("INSERT INTO events VALUES (7,'door','s','b',3,0,x'00')")
            db.execute("PRAGMA user_version=1")
        remount(disk, "ro")
        store = Store(disk)
        with pytest.raises(OutboxError, match="read-only"):
            store.open()
        assert [(head.row, head.readers) for head in store.open_read_only()] == [(7, "mqtt")]
        assert store.is_open and not store.is_writable
        store.close()

    def test_a_folder_without_a_file_holds_nothing(self, disk: Path) -> None:
        remount(disk, "ro")
        box = TwoReaders(disk)
        box.outbox.open()
        assert box.outbox.events == 0
        box.outbox.append(message(0))
        box.drain_all(1)
        assert box.outbox.close()


class TestFullDisk:
    def test_what_is_on_it_is_sent_in_order_before_newer_events(self, disk: Path) -> None:
        write_and_die(disk, LEFT)
        fill(disk)
        box = TwoReaders(disk)
        box.outbox.open()
        assert box.outbox.events == LEFT
        for seq in range(LEFT, LEFT + 10):
            box.outbox.append(message(seq))
        until(lambda: "full" in (box.outbox.degraded or ""))
        box.drain_all(LEFT + 10)
        for ballast in disk.glob("ballast-*"):
            ballast.unlink()
        until(lambda: box.outbox.degraded is None)
        assert box.outbox.close()
        assert stored(disk) == []

    def test_a_file_that_was_never_finished_holds_nothing(self, disk: Path) -> None:
        (disk / FILE_NAME).touch()
        fill(disk)
        box = TwoReaders(disk)
        box.outbox.open()
        assert "full" in (box.outbox.degraded or "")
        assert box.outbox.events == 0
        for ballast in disk.glob("ballast-*"):
            ballast.unlink()
        until(lambda: box.outbox.degraded is None)
        assert box.outbox.close()


def test_the_lock_outlives_a_change_from_reading_to_writing(disk: Path) -> None:
    write_and_die(disk, 1)
    store = Store(disk)
    store.open_read_only()
    store.open()
    held = Path("/proc/locks").read_text()
    inode = (disk / FILE_NAME).stat().st_ino
    own = [line.split() for line in held.splitlines() if line.split()[4] == str(os.getpid()) and line.split()[5].endswith(f":{inode}")]
    assert any(line[3] == "WRITE" for line in own)
    store.close()
