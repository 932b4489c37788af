"""Settings of glibc's allocator, so that freed memory goes back to the system.

1. Arenas. glibc gives threads separate arenas, up to eight per core. Each reconnect of a camera starts a
   new thread and a decoder with a pool of pictures, which may use any arena, and each arena keeps its
   own peak. Measured with four 720p cameras whose connections were cut: 16 arenas with 163 MB after eight
   minutes and rising; with two arenas the memory stays constant. The stages spend their time in kernels,
   not in malloc: no cost of sharing arenas could be measured.
2. The threshold above which blocks are mapped by themselves. By default it grows when a large block is
   freed; blocks of that size then come from the arenas and leave holes when cameras are added and removed
   (24 MB after a camera was added for the third time). With a fixed threshold such blocks are mapped one by
   one and returned at once; pictures that are made for every frame stay below it.
3. Free pages inside the heaps. A peak (the events of an outage, the first pictures of a camera) leaves free
   pages that count as used: 8 MB in one step of a half-hour test with faults. ``give_back`` returns them;
   the daemon calls it once a minute, and a call takes milliseconds.
"""

from __future__ import annotations

import ctypes
import os

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
MAPPED_FROM_BYTES = 1 << 20
"""Blocks of at least this size are mapped one by one: more than the detector's picture at 640 pixels (0.7 MB), less than a 720p plane."""
KEPT_BYTES = 16 << 20
"""Free memory at the end of the heap that is kept; without it, every frame would fault its pages in again."""


def give_back() -> bool:
    """Return free pages of all heaps to the system.

    Returns:
        Whether anything was returned; False if the C library has no ``malloc_trim``.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim is not None and trim(0) == 1


def tune_allocator(*, arenas: int = 2) -> bool:
    """Limit the number of arenas and fix the threshold for mapped blocks; call it before threads are started.

    Does nothing if ``MALLOC_ARENA_MAX`` is set in the environment: the administrator has tuned the allocator.

    Args:
        arenas: Number of arenas that all threads share.

    Returns:
        Whether it was done; False if the C library has no ``mallopt``.
    """
    if arenas < 1:
        raise ValueError(f"want arenas >= 1, got {arenas}")
    if "MALLOC_ARENA_MAX" in os.environ:
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    options = ((_M_ARENA_MAX, arenas), (_M_MMAP_THRESHOLD, MAPPED_FROM_BYTES), (_M_TRIM_THRESHOLD, KEPT_BYTES))
    return all(mallopt(name, value) == 1 for name, value in options)
