"""Lines that say what a long command is doing, on stderr: results go to stdout."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    """Print a line about the step that begins now."""
    print(f"{text} ...", file=sys.stderr, flush=True)
