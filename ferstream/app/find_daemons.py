"""Finds the running daemons of this machine, and makes one of them read its settings again."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from ferstream.app.daemon_lock import FOREIGN, LOCK_FILE, daemons
from ferstream.errors import ConfigError
from ferstream.settings import state_directory

_PROC: Final = Path("/proc")
SERVICE_FOLDERS: Final = (Path("/var/lib/ferstream"),)
"""State folder of the systemd service."""


def send_reload(pid: int) -> None:
    """Send SIGHUP to a process, if it is proved to be a ``ferstream run``; SIGHUP ends most other programs.

    Raises:
        ConfigError: There is no such process, it is not a running daemon, or it belongs to another user.
    """
    try:
        handle: int | None = os.pidfd_open(pid)  # names this process even if its id is reused meanwhile
    except (ProcessLookupError, OverflowError) as exc:
        raise ConfigError(f"process {pid}: there is no such process") from exc
    except OSError:  # a kernel or a sandbox without pidfd, or not the id of a process
        handle = None
    try:
        if not is_daemon(pid):
            raise ConfigError(_no_daemon(pid))
        if handle is None:
            os.kill(pid, signal.SIGHUP)
        else:
            signal.pidfd_send_signal(handle, signal.SIGHUP)
    except PermissionError as exc:
        advice = "use: systemctl reload ferstream, or run this command as that user"
        raise ConfigError(f"process {pid} belongs to another user; {advice}") from exc
    except OSError as exc:
        raise ConfigError(f"process {pid}: {(exc.strerror or str(exc)).lower()}") from exc
    finally:
        if handle is not None:
            os.close(handle)


def is_daemon(pid: int) -> bool:
    """Whether a process holds the lock of a running daemon, in this user's state folder or in that of the process."""
    return pid > 0 and any(pid in daemons(folder) for folder in _folders(pid))


def running_daemons() -> list[int]:
    """Return the process ids of the daemons that this user can find, in ascending order."""
    found = {pid for folder in own_folders() for pid in daemons(folder)} | {pid for pid in candidates(_PROC) if is_daemon(pid)}
    return sorted(found - {FOREIGN})


def runs_here() -> bool:
    """Whether a daemon runs with the state folder of this user or of the service, also one in another container."""
    return any(daemons(folder) for folder in own_folders())


def own_folders() -> tuple[Path, ...]:
    """Return the state folder of this user, and that of the service."""
    return (state_directory(), *SERVICE_FOLDERS)


def candidates(proc: Path) -> list[int]:
    """Return the ids of this user's processes that were started as ``ferstream run``, in ascending order; a name proves nothing.

    Args:
        proc: Where the proc file system is mounted; it may be missing.
    """
    with suppress(OSError):
        processes = [entry for entry in proc.iterdir() if entry.name.isdecimal() and int(entry.name) != os.getpid()]
        return sorted(int(process.name) for process in processes if _is_own_candidate(process))
    return []


def _is_own_candidate(process: Path) -> bool:
    try:
        return process.stat().st_uid == os.getuid() and _is_run((process / "cmdline").read_bytes().split(b"\0"))
    except OSError:
        return False


def _is_run(arguments: list[bytes]) -> bool:
    """Return whether a process is ``ferstream run`` itself, and not a program that started it, such as ``timeout 9 ferstream run``."""
    program, *rest = [argument.rsplit(b"/", 1)[-1] for argument in arguments]
    if program.startswith(b"python"):
        program, rest = (b"ferstream", rest[2:]) if rest[:2] == [b"-m", b"ferstream"] else (b"".join(rest[:1]), rest[1:])
    return program in {b"ferstream", b"__main__.py"} and rest[:1] == [b"run"]


def _folders(pid: int) -> Iterator[Path]:
    """Yield the folders that may hold the lock of a process: this user's, the service's, and the one of its environment."""
    yield from own_folders()
    try:
        pairs = (entry.partition(b"=") for entry in (_PROC / str(pid) / "environ").read_bytes().split(b"\0"))
        environ = {name: os.fsdecode(value) for name, _, value in pairs if name in {b"STATE_DIRECTORY", b"XDG_STATE_HOME", b"HOME"}}
    except OSError:
        return
    if state := environ.get(b"STATE_DIRECTORY", "").partition(":")[0]:
        yield Path(state)
    elif base := environ.get(b"XDG_STATE_HOME"):
        yield Path(base) / "ferstream"
    elif home := environ.get(b"HOME"):
        yield Path(home) / ".local" / "state" / "ferstream"


def _no_daemon(pid: int) -> str:
    if FOREIGN in daemons(state_directory()):
        return f"process {pid} is not a running 'ferstream run', nothing was sent; one runs in another container: run this command there"
    if pid in candidates(_PROC):
        where = state_directory() / LOCK_FILE
        return f"process {pid} is named as one, but holds no lock in {where}, nothing was sent; if you are sure: kill -HUP {pid}"
    return f"process {pid} is not a running 'ferstream run', nothing was sent; without --pid the command finds it"
