"""``ferstream reload``: sends SIGHUP to the daemon, as ``systemctl reload`` does, for a daemon started by hand."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import typer

from ferstream.errors import ConfigError


def reload(
    pid: int | None = typer.Option(None, "--pid", help="Process id. Default: the only 'ferstream run' of this user."),
) -> None:
    """Make a running daemon read its settings again; cameras whose settings did not change keep running."""
    target = pid if pid is not None else only_daemon(running_daemons(Path("/proc")))
    try:
        os.kill(target, signal.SIGHUP)
    except OSError as exc:
        raise ConfigError(f"process {target}: {exc.strerror}") from exc
    typer.echo(f"sent SIGHUP to process {target}; its log says which settings changed")


def only_daemon(running: list[int]) -> int:
    """Return the process id of the daemon, if exactly one is running.

    Raises:
        ConfigError: None or several are running.
    """
    if not running:
        raise ConfigError("no 'ferstream run' of this user was found; give its process id with --pid")
    if len(running) > 1:
        raise ConfigError(f"several daemons are running ({', '.join(map(str, running))}); choose one with --pid")
    return running[0]


def running_daemons(proc: Path) -> list[int]:
    """Return the process ids of this user's ``ferstream run``, in ascending order.

    Args:
        proc: Where the proc file system is mounted.
    """
    found = []
    for entry in proc.iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        try:
            mine = entry.stat().st_uid == os.getuid()
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if mine and _is_daemon(arguments):
            found.append(int(entry.name))
    return sorted(found)


def _is_daemon(arguments: list[bytes]) -> bool:
    """Return whether a process is the daemon itself, and not a program that started it, such as ``timeout 9 ferstream run``."""
    program, *rest = [argument.rsplit(b"/", 1)[-1] for argument in arguments]
    if program.startswith(b"python"):
        program, rest = (b"ferstream", rest[2:]) if rest[:2] == [b"-m", b"ferstream"] else (b"".join(rest[:1]), rest[1:])
    return program in {b"ferstream", b"__main__.py"} and rest[:1] == [b"run"]
