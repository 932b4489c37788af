"""The calls leave nothing behind: no file, no connection."""

from __future__ import annotations

from pathlib import Path

from tests.support.python_process import run_python

PROGRAM = """
import os, sys

seen = []

def note(event, args):
    if event in ("socket.connect", "socket.sendto", "socket.bind", "socket.getaddrinfo", "subprocess.Popen", "os.mkdir", "os.rename"):
        seen.append((event, args))
    writes = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    if writes and not str(args[0]).startswith("/dev/"):
        seen.append((event, args))

sys.dont_write_bytecode = True
sys.addaudithook(note)
import ferstream

faces = ferstream.analyze(ferstream.examples.portrait())
events = list(ferstream.replay(CLIP, model=MODEL))
with ferstream.watch("demo:", kinds=("state", "face"), model=MODEL) as watched:
    events.append(next(watched))
print(len(faces), len(events) > 2, seen)
"""


def test_the_calls_write_no_file_and_connect_to_nothing(clip: Path, tiny_model: str, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    done = run_python(PROGRAM.replace("CLIP", repr(str(clip))).replace("MODEL", repr(tiny_model)), cwd=work)
    assert done.stdout.strip() == "1 True []"
    assert list(work.iterdir()) == []
