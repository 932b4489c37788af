"""Takes from a process what it does not need to decode the files of strangers. Its main thread calls this first.

A limit that the system refuses to set is left out: the service's sandbox has most of them already.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
from pathlib import Path

from ferstream.app.system_calls import refuse_system_calls

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_NICE = 10
"""About a tenth of the share of the daemon's threads; at 19 a machine that is busy with its cameras would leave it next to nothing."""
_MAX_FILES = 256
_FIRST_VICTIM = "1000"
"""When the system has no memory left, it ends this process, not the daemon."""


def confine(*, memory_bytes: int) -> None:
    """Give the process a low priority, a limit of memory, no network, and an end with its parent.

    It must have no other threads yet: those would keep what it gives away.

    Args:
        memory_bytes: Most memory that it may allocate; more fails inside it, not for the system.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # meant for the daemon, which ends this process
    with contextlib.suppress(OSError):
        os.nice(_NICE)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_FIRST_VICTIM, encoding="ascii")
    _limit(resource.RLIMIT_CORE, 0)  # a core file would hold pictures of people
    _limit(resource.RLIMIT_DATA, memory_bytes)
    _limit(resource.RLIMIT_NOFILE, _MAX_FILES)
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        refuse_system_calls()


def _limit(kind: int, value: int) -> None:
    with contextlib.suppress(OSError, ValueError):
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))
