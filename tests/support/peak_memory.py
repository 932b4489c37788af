"""The peak memory of a piece of work, measured in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_PROGRAM = """
import json, re, sys
from pathlib import Path
{body}
error = ""
try:
    work()
except Exception as exc:
    error = f"{{type(exc).__name__}}: {{exc}}"
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text()).group(1)
print(json.dumps([error, int(peak) / 1024]))
"""


@dataclass(frozen=True)
class Measured:
    """What a process did.

    Attributes:
        error: Type and text of its exception; empty without one.
        peak_mb: Its largest resident memory in MiB, imports included.
    """

    error: str
    peak_mb: float


def measure(body: str, *words: object, timeout_s: float = 200.0) -> Measured:
    """Run ``body``, which defines ``work()``, in a new process with ``words`` as its arguments."""
    command = [sys.executable, "-c", _PROGRAM.format(body=body), *map(str, words)]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, timeout=timeout_s)
    assert done.returncode == 0, done.stderr[-2000:]
    return Measured(*json.loads(done.stdout.splitlines()[-1]))
