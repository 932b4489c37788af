"""What libraries print is kept off the terminal, and shown where an error needs it."""

from __future__ import annotations

import subprocess
import sys

_CODE = """
import os, sys
{before}
from ferstream.errors import ModelError
from ferstream.training.quiet import quiet_libraries
print("before")
try:
    with quiet_libraries():
        print("python's stdout")
        print("python's stderr", file=sys.stderr)
        for stream in (1, 2):
            try:
                os.write(stream, b"library, ")
            except OSError:
                pass
        {last}
except BaseException as error:
    print(type(error).__name__)
print("after")
"""


def run(last: str = "", before: str = "") -> tuple[str, str]:
    """What a process prints in which a library is noisy; pytest replaces the streams of this one."""
    command = [sys.executable, "-c", _CODE.format(last=last, before=before)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout, done.stderr


def test_nothing_of_the_block_is_printed_and_everything_around_it() -> None:
    assert run() == ("before\nafter\n", "")


def test_an_unknown_error_shows_what_was_printed() -> None:
    out, err = run("raise ZeroDivisionError")
    assert out == "before\nZeroDivisionError\nafter\n"
    assert "python's stdout" in err
    assert err.count("library, ") == 2


def test_an_error_with_a_line_of_its_own_shows_nothing_else() -> None:
    assert run("raise ModelError('one line')") == ("before\nModelError\nafter\n", "")


def test_an_interrupt_shows_nothing() -> None:
    assert run("raise KeyboardInterrupt") == ("before\nKeyboardInterrupt\nafter\n", "")


def test_a_stream_that_is_closed_is_left_alone() -> None:
    assert run(before="os.close(2); sys.stderr = None")[0] == "before\nafter\n"
