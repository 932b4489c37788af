"""Keeps glibc's allocator from holding on to memory that nobody uses any more.

glibc gives threads separate arenas, up to eight a core. Each camera that reconnects brings a new
thread and a decoder with a pool of pictures, which may land in any arena, and each arena keeps
its own high-water mark. Measured with four 720p cameras under cuts: 16 arenas with 163 MB after
eight minutes and rising; with two arenas the memory is flat. The stages spend their time in
kernels, not in malloc, so sharing costs nothing that could be measured.

A second cause is its moving threshold: once a large block was freed, blocks of that size come from
the arenas too and leave holes when cameras come and go (24 MB after a camera was added for the
third time). With a fixed threshold they are mapped one by one and given back at once; pictures
that are made for every frame stay below it.

What peaks leave behind (an outage's events, a camera's first pictures) lies free inside the heaps and counts as used: half an
hour of trouble went up by 8 MB in one such step. ``give_back`` returns it; called once a minute it takes milliseconds.
"""

from __future__ import annotations

import ctypes
import os

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
MAPPED_FROM_BYTES = 1 << 20
"""Larger than the detector's picture at 640 pixels (0.7 MB), smaller than a 720p plane."""
KEPT_BYTES = 16 << 20
"""Free memory at the end of the heap that is not given back, or every frame would fault its pages in anew."""


def give_back() -> bool:
    """Return the pages that lie free in all heaps to the system; they fault in anew where they are needed again.

    Returns:
        Whether anything was returned; False where the C library cannot.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim is not None and trim(0) == 1


def tune_allocator(*, arenas: int = 2) -> bool:
    """Let new threads share ``arenas``, and large blocks come and go by themselves; before threads are started.

    ``MALLOC_ARENA_MAX`` in the environment, if set, says that somebody tunes by hand: nothing is done then.

    Returns:
        Whether it was done; False where the C library has no such thing.
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
