"""Workers of an archive that do what a test tells them: programs for ``LocalWorkers``, which need no model."""

from __future__ import annotations

import sys

_START = """
import json, os, signal, subprocess, sys, time
setup = json.loads(sys.stdin.readline())["setup"]
def say(kind, **content):
    os.write(1, json.dumps({kind: content}).encode() + b"\\n")
def ready():
    say("loaded", machine={"pid": str(os.getpid()), "cores": str(setup["cores"]), "scratch": setup["scratch"]}, host="here")
"""
_WORK = """
ready()
for line in sys.stdin:
    task = json.loads(line)["task"]
"""


def scripted(work: str = "", *, start: str | None = None) -> tuple[str, ...]:
    """Return the command of a worker.

    Args:
        work: What it does with each task, four spaces before each line; ``task`` is a dictionary.
        start: What it does instead of waiting for tasks.
    """
    program = _START + (start if start is not None else _WORK + (work or "    pass"))
    return sys.executable, "-c", program


DONE = '    say("done", file=f"chunks/{task[\'chunk\']}.npz", frames=10, faces=2, lost=0, seconds=0.5)'
