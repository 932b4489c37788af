"""Keep what libraries print about themselves off the terminal: TensorFlow, Keras, NNCF, OpenVINO, LiteRT."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import IO

from ferstream.errors import FerstreamError

_STREAMS = (1, 2)
"""File descriptors of stdout and stderr: C++ code writes to them without Python."""


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Send stdout and stderr of the whole process to a temporary file for a while.

    Its text is written to the real stderr only when an error ends the block that is not one of ferstream's own, whose message says
    all. For the main thread of a command: what other threads print meanwhile is lost too.
    """
    with tempfile.TemporaryFile() as notices, ExitStack() as stack:
        for stream in _STREAMS:
            stack.enter_context(_redirected(stream, notices))
        try:
            yield
        except FerstreamError:
            raise
        except Exception:
            stack.close()
            notices.seek(0)
            if sys.stderr is not None:
                sys.stderr.write(notices.read().decode(errors="replace"))
            raise


@contextmanager
def _redirected(stream: int, target: IO[bytes]) -> Iterator[None]:
    _flush()
    try:
        kept = os.dup(stream)
    except OSError:  # the command was started with the stream closed
        yield
        return
    os.dup2(target.fileno(), stream)
    try:
        yield
    finally:
        _flush()
        os.dup2(kept, stream)
        os.close(kept)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # closed before the start
            stream.flush()
