"""``ferstream reload``: the signal of ``systemctl reload``, for those who start the daemon by hand."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import typer

from ferstream.errors import ConfigError


def reload(
    pid: int | None = typer.Option(None, "--pid", help="Process id; left out: the one running 'ferstream run' of this user."),
) -> None:
    """Tell a running daemon to read its settings again; cameras that did not change go on."""
    targets = [pid] if pid is not None else running_daemons(Path("/proc"))
    if not targets:
        raise ConfigError("no running 'ferstream run' of this user was found; name it with --pid")
    if len(targets) > 1:
        raise ConfigError(f"several daemons run ({', '.join(map(str, targets))}); choose one with --pid")
    try:
        os.kill(targets[0], signal.SIGHUP)
    except OSError as exc:
        raise ConfigError(f"process {targets[0]}: {exc.strerror}") from exc
    typer.echo(f"process {targets[0]} was told to reload; its log says what it took over")


def running_daemons(proc: Path) -> list[int]:
    """Process ids of this user's ``ferstream run``, from /proc."""
    found = []
    for entry in proc.iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        try:
            mine = entry.stat().st_uid == os.getuid()
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if mine and _is_daemon(words):
            found.append(int(entry.name))
    return sorted(found)


def _is_daemon(words: list[bytes]) -> bool:
    """The program itself, not what started it: ``timeout 9 ferstream run`` or ``uv run ferstream run`` would name the same daemon twice."""
    program, *rest = [word.rsplit(b"/", 1)[-1] for word in words]
    if program.startswith(b"python"):
        program, rest = (b"ferstream", rest[2:]) if rest[:2] == [b"-m", b"ferstream"] else (b"".join(rest[:1]), rest[1:])
    return program in {b"ferstream", b"__main__.py"} and rest[:1] == [b"run"]
