"""One process at a time works at an archive in a folder; it also removes what killed ones have left."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ferstream.archive.storage.store import PART, LocalStore, Store
from ferstream.errors import ConfigError, OutputError

LOCK = ".lock"
"""Name of the file in the folder of the archive; it stays there, and the lock on it ends with the process."""


@contextmanager
def locked(store: Store) -> Iterator[None]:
    """Be the only process that works at an archive, within the context. Objects of a store have no lock.

    Raises:
        ConfigError: Another process works at it.
        OutputError: The folder cannot be written.
    """
    if not isinstance(store, LocalStore):
        yield
        return
    path = store.folder / LOCK
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as exc:
        raise OutputError(f"cannot write {path}: {exc.strerror}") from exc
    try:
        _lock(descriptor, path)
        remove_parts(store.folder)
        yield
    finally:
        os.close(descriptor)


def remove_parts(folder: Path) -> None:
    """Remove unfinished files of processes that were killed.

    Raises:
        OutputError: One cannot be removed.
    """
    try:
        for part in folder.rglob(f".*{PART}"):
            part.unlink(missing_ok=True)
    except OSError as exc:
        raise OutputError(f"cannot remove {exc.filename or folder}: {exc.strerror}") from exc


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        holder = os.pread(descriptor, 100, 0).decode(errors="replace").strip() or "another process"
        raise ConfigError(f"{path.parent}: {holder} works at this archive; wait for its end, or end it") from exc
    except OSError as exc:
        raise OutputError(f"cannot lock {path}: {exc.strerror}; is it on a file system without locks?") from exc
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
    except OSError as exc:
        raise OutputError(f"cannot write {path}: {exc.strerror}") from exc
