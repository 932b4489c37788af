"""How ``ferstream reload`` proves that a process is a ``ferstream run``: a lock that only a running daemon holds.

The daemon locks one byte of ``daemons.lock`` in the state folder for as long as it handles SIGHUP. The kernel frees the
lock when the process ends, however it ends, and says which process holds it, in the numbers of the asker's own pid
namespace. So a process id that was reused, a program of the same name and a process of another container are told apart,
without /proc. The locks are POSIX record locks: they belong to the process, and are not inherited by its children.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import structlog

LOCK_FILE: Final = "daemons.lock"
FOREIGN: Final = 0
"""Process id of a daemon in another pid namespace."""
_FLOCK: Final = "@hhqqi0q"
"""struct flock of Linux: type, whence, start, length, pid."""
_ATTEMPTS: Final = 64
_END: Final = 1 << 40
"""Above every byte that is locked."""

_LOG = structlog.get_logger(__name__)


@contextmanager
def daemon_lock(folder: Path) -> Iterator[bool]:
    """Hold a lock as a running daemon within the context; yields False if there is no lock, which is logged.

    Args:
        folder: The state folder; made if it is missing. It may be shared by several daemons, and by containers.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as exc:
        reason = (exc.strerror or str(exc)).lower()
        _LOG.info("ferstream reload will not find this process; SIGHUP reloads it", lock=str(folder / LOCK_FILE), reason=reason)
        yield False
        return
    try:
        yield _lock_a_byte(descriptor)
    finally:
        os.close(descriptor)


def daemons(folder: Path) -> set[int]:
    """Return the process ids of the daemons that hold a lock in a state folder; ``FOREIGN`` for those of other containers.

    Must not be called by a process that holds such a lock: it would lose it.
    """
    try:
        descriptor = os.open(folder / LOCK_FILE, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return set()
    try:
        return set(_holders(descriptor))
    finally:
        os.close(descriptor)


def _lock_a_byte(descriptor: int) -> bool:
    """Lock the byte at the process's own id, or the next that is free: another container may have the same id."""
    for start in range(os.getpid(), os.getpid() + _ATTEMPTS):
        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_SETLK, struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, start, 1, 0))
            return True
    return False


def _holders(descriptor: int) -> Iterator[int]:
    """Yield the process of every lock: the kernel names one at a time, so what is before and after it is asked for next."""
    ranges = [(0, _END)]
    while ranges:
        start, end = ranges.pop()
        asked = struct.pack(_FLOCK, fcntl.F_RDLCK, os.SEEK_SET, start, end - start, 0)
        try:
            kind, _, found, length, pid = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
        except OSError:  # a file system without locks
            return
        if kind == fcntl.F_UNLCK:
            continue
        yield max(FOREIGN, pid)
        after = found + length if length else end
        ranges += [(low, high) for low, high in ((start, found), (after, end)) if low < high]
