"""The outbox with files that are damaged, deleted or cannot be opened."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from ferstream.outbox.store import FILE_NAME
from ferstream.runtime.counters import Counters
from tests.support.outboxes import WAIT_S, OneReader, Ready, drain, message, rows


class TestBadDisk:
    @pytest.mark.parametrize("damage", [b"this is no database at all", b""])
    def test_a_corrupt_file_is_set_aside(self, make: Callable[..., OneReader], tmp_path: Path, damage: bytes, observer: Counters) -> None:
        path = tmp_path / FILE_NAME
        path.write_bytes(damage * 1000)
        outbox = make(tmp_path)
        outbox.open()
        outbox.append(message(0))
        outbox.close()
        assert outbox.degraded is None
        assert rows(tmp_path) == [0]
        assert (tmp_path / f"{FILE_NAME}.corrupt-1").exists() == bool(damage)

    def test_pages_damaged_between_runs(self, make: Callable[..., OneReader], tmp_path: Path) -> None:
        first = make(tmp_path)
        first.open()
        for seq in range(2000):
            first.append(message(seq, size=300))
        first.close()
        content = bytearray((tmp_path / FILE_NAME).read_bytes())
        content[8192:200_000] = b"\xff" * (200_000 - 8192)
        (tmp_path / FILE_NAME).write_bytes(content)
        second = make(tmp_path)
        second.open()
        second.append(message(0))
        second.close()
        assert second.counts().balanced
        assert (tmp_path / f"{FILE_NAME}.corrupt-1").exists()
        assert rows(tmp_path) == [0]

    @pytest.mark.parametrize(
        "damage",
        [
            "payload='broken'",
            "schema='ferstream.fade/1'",
            "camera='a/b'",
            "camera='#'",
            "camera=''",
            "camera=x'ff00'",
            "camera=CAST(x'ff' AS TEXT)",
            "camera='porch'",
            "boot_id=x'00'",
            "boot_id='other'",
            "seq='many'",
            "seq=7",
            "crc='none'",
        ],
    )
    def test_a_row_damaged_on_disk_is_dropped_not_sent(
        self, make: Callable[..., OneReader], tmp_path: Path, ready: Ready, damage: str
    ) -> None:
        first = make(tmp_path)
        first.open()
        for seq in range(5):
            first.append(message(seq))
        first.close()
        with sqlite3.connect(tmp_path / FILE_NAME) as db:
            db.execute(f"UPDATE events SET {damage} WHERE seq=2")
        db.close()
        second = make(tmp_path)
        second.open()
        got = drain(second, ready, 4)
        ready.until(lambda: second.take(1) == [] and second.events == 0)
        second.close()
        assert [item.seq for item in got] == [0, 1, 3, 4]
        assert second.dropped == {"corrupt": 1}
        assert second.counts().balanced
        assert rows(tmp_path) == []

    def test_a_deleted_file_is_begun_again(self, make: Callable[..., OneReader], tmp_path: Path) -> None:
        outbox = make(tmp_path)
        outbox.open()
        for seq in range(100):
            outbox.append(message(seq))
        assert outbox.flush(WAIT_S) == 0
        for path in tmp_path.iterdir():
            path.unlink()
        outbox.append(message(100))
        outbox.close()
        assert rows(tmp_path) == list(range(101))
        assert outbox.counts().balanced

    def test_an_unusable_folder_means_memory_and_it_recovers(
        self, make: Callable[..., OneReader], tmp_path: Path, ready: Ready, caplog: pytest.LogCaptureFixture
    ) -> None:
        blocked = tmp_path / "outbox"
        blocked.write_text("a file where the folder should be")
        outbox = make(blocked)
        outbox.open()
        assert outbox.degraded is not None and "outbox" in outbox.degraded
        for seq in range(10):
            outbox.append(message(seq))
        assert [item.seq for item in outbox.take(1)] == [0]
        blocked.unlink()
        ready.until(lambda: outbox.degraded is None)
        outbox.close()
        assert rows(blocked) == list(range(10))
        assert len([record for record in caplog.records if "kept in memory" in record.message]) == 1
        assert outbox.counts().balanced
