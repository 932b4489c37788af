"""Runs ferstream's commands for the proof and the speed of archives: what they leave, what they say, and which processes they start."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
MARK = "FERSTREAM_PROOF"
"""Variable by which the processes of a command are known, however far they are from it."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that ended.

    Attributes:
        code: Exit code; negative for a signal.
        seconds: How long it took.
        cpu_s: CPU time of it and the processes that it waited for.
        text: What it printed.
        left: Processes of it that were there after it.
    """

    code: int
    seconds: float
    cpu_s: float
    text: str
    left: int


class Command:
    """A running ``ferstream`` command. Its processes are known by a variable in their environment."""

    def __init__(self, words: Sequence[str], output: Path) -> None:
        """Start it.

        Args:
            words: The command's words behind ``ferstream``.
            output: File for what it prints.
        """
        self._mark, self._output, self._began = secrets.token_hex(8), output, time.monotonic()
        environment = {**os.environ, MARK: self._mark, "PYTHONPATH": str(ROOT)}
        with output.open("wb") as out:
            self.process = subprocess.Popen([sys.executable, "-m", "ferstream", *words], stdout=out, stderr=out, env=environment)

    def wait(self, timeout_s: float | None = None) -> Ended | None:
        """Wait for its end; None if it has not ended after so many seconds. All of its processes are killed if the wait is interrupted."""
        try:
            return self._wait(timeout_s)
        except BaseException:
            for pid in marked(self._mark):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            raise

    def _wait(self, timeout_s: float | None) -> Ended | None:
        until = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            pid, status, usage = os.wait4(self.process.pid, 0 if until is None else os.WNOHANG)
            if pid:
                break
            if until is not None and time.monotonic() >= until:
                return None
            time.sleep(0.02)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - self._began
        text = self._output.read_text(errors="replace")
        return Ended(self.process.returncode, seconds, usage.ru_utime + usage.ru_stime, text, self._left())

    def kill(self) -> None:
        """Send SIGKILL to the command alone, not to the processes that it started."""
        self.process.send_signal(signal.SIGKILL)

    def children(self) -> list[int]:
        """Return the processes that it started and that are running."""
        return [pid for pid in marked(self._mark) if pid != self.process.pid]

    def _left(self) -> int:
        return len(still_there(self._mark, lambda pid: pid != self.process.pid))


def still_there(mark: str, is_meant: Callable[[int], bool]) -> list[int]:
    """Return the processes with a mark that have not ended after five seconds."""
    until = time.monotonic() + 5
    while (left := [pid for pid in marked(mark) if is_meant(pid)]) and time.monotonic() < until:
        time.sleep(0.05)
    return left


def marked(mark: str) -> list[int]:
    """Return the processes that have a mark in their environment and have not ended."""
    wanted, found = f"{MARK}={mark}".encode(), []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if wanted in (entry / "environ").read_bytes().split(b"\0") and b") Z " not in (entry / "stat").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def run(words: Sequence[str], output: Path) -> Ended:
    """Run a command to its end."""
    ended = Command(words, output).wait()
    assert ended is not None
    return ended


def lost_frames(text: str) -> int:
    """Return the number of lost frames that ``replay`` names."""
    return sum(int(count.replace(",", "")) for count in re.findall(r"([\d,]+) LOST", text))


def plan_of(folder: Path) -> dict[str, Any]:
    """Return the plan of an archive."""
    plan: dict[str, Any] = json.loads((folder / "plan.json").read_bytes())
    return plan


def differences(folder: Path, events: Path, replayed: Path) -> list[str]:
    """Return the recordings whose events differ from those of ``replay``, and what else does not fit.

    Args:
        folder: The archive.
        events: Its folder of JSON lines.
        replayed: The file of ``replay`` over the same sources.
    """
    found = []
    with replayed.open("rb") as expected:
        for recording in plan_of(folder)["recordings"]:
            content = (events / f"{recording['camera']}.jsonl").read_bytes()
            if expected.read(len(content)) != content:
                found.append(f"{recording['camera']}: other bytes")
            numbers = [json.loads(line)["seq"] for line in content.splitlines()]
            if numbers != list(range(len(numbers))):
                found.append(f"{recording['camera']}: events are missing or doubled")
        if expected.read(1):
            found.append("replay has more events")
    return found


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, 16 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def size_of(folder: Path) -> int:
    """Return the bytes of the files in and below a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def put_into(page: Path, name: str, lines: Sequence[str]) -> None:
    """Replace what stands between the comments ``NAME: begin`` and ``NAME: end`` of a page."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    after = rest.partition(end)[2]
    assert after, f"{page}: has no place for {name}"
    page.write_text("\n".join([before + begin, "", *lines, "", end]) + after, encoding="utf-8")


def end_in_order() -> None:
    """Let SIGTERM end this program as Ctrl-C does, so that clusters, mounts and processes are cleared away."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
