"""The outbox's file: SQLite in WAL mode; used by the outbox's own thread only.

``synchronous=NORMAL``: what is committed survives a killed process; a power cut may cost the last
transactions but never the file's consistency. The exclusive lock keeps a second ferstream out,
needs no shared memory file, and ends with the process however it ends.

A file that cannot be written can still be read (``open_read_only``), its journal included. SQLite reads a journal on a
read-only disk in one way only: with the lock ``EXCLUSIVE``, so that the index of the journal is in memory, and without
POSIX locks (``vfs=unix-none``), because a write lock needs a writable file. ``immutable=1`` would ignore the journal and
lose its events.
"""

from __future__ import annotations

import contextlib
import fcntl
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from ferstream.errors import OutboxBusyError, OutboxCorruptError, OutboxError
from ferstream.outbox.rows import Row, StoredHead

FILE_NAME = "outbox.sqlite"
_VERSION = 2
_TABLE = """CREATE TABLE IF NOT EXISTS events (
  id INTEGER PRIMARY KEY, camera TEXT NOT NULL, schema TEXT NOT NULL, boot_id TEXT NOT NULL,
  seq INTEGER NOT NULL, crc INTEGER NOT NULL, payload BLOB NOT NULL, readers TEXT NOT NULL DEFAULT 'mqtt')"""
_ADD_READERS = "ALTER TABLE events ADD COLUMN readers TEXT NOT NULL DEFAULT 'mqtt'"
"""From version 1, whose only reader was MQTT."""
_CORRUPT = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_SCHEMA)
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_SELECT_LIMIT = 500
_MAX_INT32 = 2**31 - 1
_ROWS_PER_INSERT = 500
_LOCK_START, _LOCK_BYTES = 0x40000002, 510
"""Where SQLite locks a file; a writer in exclusive mode holds all of it."""


class Store:
    """One open file of events."""

    def __init__(self, directory: Path) -> None:
        self._directory, self.path = directory, directory / FILE_NAME
        self._db: sqlite3.Connection | None = None
        self._lock: BinaryIO | None = None
        """The file with a shared lock, while it is open for reading only."""
        self._inode: tuple[int, int] | None = None
        self.smallest_group = 0
        """Fewest faces that a summary in the file is about; 0 = no limit. Known while the file is open."""

    @property
    def is_open(self) -> bool:
        """Whether the file can be read."""
        return self._db is not None

    @property
    def is_writable(self) -> bool:
        """Whether the file is open for writing."""
        return self._db is not None and self._lock is None

    def open(self) -> list[StoredHead]:
        """Open or create the file for writing; return what it holds, oldest first.

        A file that is open for reading stays open if the disk is still read-only.

        Raises:
            OutboxBusyError: Another process uses it.
            OutboxCorruptError: It is damaged; ``set_aside`` moves it away.
            OutboxError: The disk is read-only, full or gone.
        """
        with self._translated():
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.path.touch(mode=0o600)  # before SQLite does: the journal takes the rights of the file
            # To close any descriptor of a file ends all locks of this process on it: closed before it is locked.
            self.close()
            try:
                return self._open()
            except BaseException:
                self.close()
                raise

    def open_read_only(self) -> list[StoredHead]:
        """Open an existing file that cannot be written; return what it holds, oldest first. Nothing on the disk is changed.

        Raises:
            OutboxBusyError: Another process uses it.
            OutboxCorruptError: It is damaged.
            OutboxError: There is no file, or it cannot be read.
        """
        with self._translated():
            self.close()
            try:
                self._lock = self.path.open("rb")
                self._lock_shared(self._lock)
                uri = f"file:{quote(str(self.path.absolute()))}?mode=ro&vfs=unix-none"
                self._db = self._connect(uri, is_uri=True)
                version = self._check_version(self._db)
                return self._heads(self._db, version)
            except BaseException:
                self.close()
                raise

    def _open(self) -> list[StoredHead]:
        db = self._db = self._connect(str(self.path))
        db.execute("PRAGMA auto_vacuum=INCREMENTAL")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        version = self._check_version(db)
        if version != _VERSION:  # a full disk can be read, but not written
            db.execute("BEGIN IMMEDIATE")
            db.execute(_ADD_READERS if version == 1 else _TABLE)
            db.execute(f"PRAGMA user_version={_VERSION}")
            db.execute("COMMIT")
        self._inode = _identity(self.path)
        return self._heads(db, _VERSION)

    def _connect(self, database: str, *, is_uri: bool = False) -> sqlite3.Connection:
        db = sqlite3.connect(database, uri=is_uri, isolation_level=None, check_same_thread=False, timeout=0.2)
        db.text_factory = _text
        db.execute("PRAGMA locking_mode=EXCLUSIVE")
        return db

    def _check_version(self, db: sqlite3.Connection) -> int:
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        if version not in (0, 1, _VERSION):
            raise OutboxCorruptError(f"{self.path}: made by another version of ferstream")
        if db.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise OutboxCorruptError(f"{self.path}: damaged")
        return version

    def _heads(self, db: sqlite3.Connection, version: int) -> list[StoredHead]:
        # SQLite keeps this number for the application; it needs no table, so that files of older versions have it too, as 0.
        self.smallest_group = int(db.execute("PRAGMA application_id").fetchone()[0])
        if version == 0:  # made by a process that could not create the table
            return []
        readers = "'mqtt'" if version == 1 else "readers"
        query = f"SELECT id, camera, schema, boot_id, seq, crc, length(payload), {readers} FROM events ORDER BY id"  # noqa: S608 (constants)
        return [StoredHead(*row) for row in db.execute(query)]

    def _lock_shared(self, file: BinaryIO) -> None:
        try:
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB, _LOCK_BYTES, _LOCK_START)
        except BlockingIOError:
            raise self._busy() from None

    def add(self, new: Sequence[Row]) -> None:
        """Add rows, all or none.

        As few statements as possible, a single one for what comes in a fraction of a second: Python gives up its interpreter lock
        at each statement, and on a busy machine gets it back late.

        Raises:
            OutboxCorruptError: The file is damaged.
            OutboxError: The disk does not accept it.
        """
        if len(new) <= _ROWS_PER_INSERT:
            db = self._open_db()
            with self._translated():
                self._insert(db, new)
            return
        with self._transaction() as db:
            for start in range(0, len(new), _ROWS_PER_INSERT):
                self._insert(db, new[start : start + _ROWS_PER_INSERT])

    @staticmethod
    def _insert(db: sqlite3.Connection, rows: Sequence[Row]) -> None:
        if rows:
            values = ",".join(["(?,?,?,?,?,?,?,?)"] * len(rows))
            fields = [field for n in rows for field in (n.row, n.camera, n.schema, n.boot_id, n.seq, n.crc, n.payload, n.readers)]
            db.execute(f"INSERT INTO events VALUES {values}", fields)  # noqa: S608 (question marks only)

    def set_readers(self, readers: Mapping[int, str]) -> None:
        """Set the readers that rows still have, all or none.

        Raises:
            OutboxCorruptError: The file is damaged.
            OutboxError: The disk does not accept it.
        """
        if readers:
            with self._transaction() as db:
                db.executemany("UPDATE events SET readers=? WHERE id=?", ((names, row) for row, names in readers.items()))

    def delete(self, gone: Sequence[int]) -> None:
        """Delete rows, all or none.

        Raises:
            OutboxCorruptError: The file is damaged.
            OutboxError: The disk does not accept it.
        """
        with self._transaction() as db:
            for start in range(0, len(gone), _SELECT_LIMIT):
                part = gone[start : start + _SELECT_LIMIT]
                db.execute(f"DELETE FROM events WHERE id IN ({','.join('?' * len(part))})", part)  # noqa: S608 (question marks only)

    def set_smallest_group(self, size: int) -> None:
        """Keep in the file the fewest faces that a summary in it is about.

        Raises:
            OutboxError: The disk does not accept it.
        """
        size = min(size, _MAX_INT32)
        if size != self.smallest_group:
            with self._transaction() as db:
                db.execute(f"PRAGMA application_id={size:d}")
            self.smallest_group = size

    def load(self, rows: Sequence[int]) -> dict[int, bytes]:
        """Return the payloads of the given rows; missing rows are absent.

        Raises:
            OutboxCorruptError: The file is damaged.
            OutboxError: The disk cannot be read.
        """
        db = self._open_db()
        found: dict[int, bytes] = {}
        with self._translated():
            for start in range(0, len(rows), _SELECT_LIMIT):
                part = rows[start : start + _SELECT_LIMIT]
                marks = ",".join("?" * len(part))
                query = f"SELECT id, CAST(payload AS BLOB) FROM events WHERE id IN ({marks})"  # noqa: S608 (question marks only)
                found.update(db.execute(query, part).fetchall())
        return found

    def shrink(self) -> None:
        """Give the space of deleted events back to the disk."""
        db = self._open_db()
        with self._translated():
            db.executescript("PRAGMA incremental_vacuum")  # execute() would free one page only: it returns empty rows
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def vanished(self) -> bool:
        """Whether somebody deleted or replaced the file while it is open."""
        return self._inode is not None and _identity(self.path) != self._inode

    def set_aside(self) -> Path:
        """Rename a damaged file to ``outbox.sqlite.corrupt-N``; return the new path.

        Raises:
            OutboxError: It cannot be moved.
        """
        self.close()
        number = 1
        while (target := self.path.with_name(f"{FILE_NAME}.corrupt-{number}")).exists():
            number += 1
        with self._translated():
            self.path.rename(target)
            for suffix in ("-wal", "-shm"):
                side = self.path.with_name(FILE_NAME + suffix)
                if side.exists():
                    side.rename(target.with_name(target.name + suffix))
        return target

    def remove(self) -> None:
        """Close and delete the file; frees a full disk when no event in it is needed."""
        self.close()
        with self._translated():
            for path in (self.path, *(self.path.with_name(FILE_NAME + suffix) for suffix in ("-wal", "-shm"))):
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file; more than one call is allowed."""
        db, lock = self._db, self._lock
        self._db = self._lock = self._inode = None
        if db is not None:
            with contextlib.suppress(sqlite3.Error):
                db.close()
        if lock is not None:
            lock.close()

    def _open_db(self) -> sqlite3.Connection:
        if self._db is None:
            raise OutboxError(f"{self.path}: not open")
        return self._db

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        db = self._open_db()
        with self._translated():
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    db.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as exc:
            raise self._translate(exc) from exc
        except OSError as exc:
            raise OutboxError(f"{exc.filename or self.path}: {(exc.strerror or 'cannot be used').lower()}") from exc

    def _busy(self) -> OutboxBusyError:
        return OutboxBusyError(f"{self.path} is in use by another process; give each ferstream its own outbox.path")

    def _translate(self, exc: sqlite3.Error) -> OutboxError:
        code = getattr(exc, "sqlite_errorcode", 0) & 0xFF
        if code in _BUSY:
            return self._busy()
        if code in _CORRUPT:
            return OutboxCorruptError(f"{self.path}: damaged: {exc}")
        return OutboxError(f"{self.path}: {exc}")


def _text(data: bytes) -> str:
    """Decode any bytes: a damaged text must not make the whole file unreadable. ``row_checks`` refuses what cannot be printed."""
    return data.decode(errors="surrogateescape")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
