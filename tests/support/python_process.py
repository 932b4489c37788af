"""A Python program in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.runners import PATIENCE_S

ROOT = Path(__file__).resolve().parents[2]


def run_python(program: str, *, check: bool = True, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program that imports this checkout's ferstream, and return what it printed; its environment has no settings."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FERSTREAM_")} | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=15 * PATIENCE_S, check=check, env=environment, cwd=cwd
    )
