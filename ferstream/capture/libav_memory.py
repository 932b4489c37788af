"""A limit on the memory that libav allocates at once, for the whole process.

libav collects an endless packet, parameter or picture in one block of memory that grows. It has a limit for such a block,
``av_max_alloc``, which PyAV does not offer; it is called in the library that PyAV has loaded.
"""

from __future__ import annotations

import ctypes
import re
import threading
from pathlib import Path

BYTES_PER_PIXEL = 2.25
"""Of the largest block for a picture: a plane of 16 bits with its padding. Packed formats (GIF, RGB) reach it at fewer pixels."""
SMALLEST_LIMIT_BYTES = 32_000_000
"""Lowest limit: libav's buffers and the tables of a decoder have sizes of their own, however small the pictures are."""
_LIBRARY = re.compile(r"\S*/libavutil\S*\.so\S*$")

_lock = threading.Lock()
_limit = 0


def limit_libav_memory(max_pixels: int) -> int:
    """Let libav allocate blocks for pictures of this size, and no larger ones; the largest of all calls counts.

    Args:
        max_pixels: Width times height of the largest picture.

    Returns:
        The limit in bytes; 0 if libav's library was not found, which leaves it without a limit.
    """
    global _limit
    with _lock:
        wanted = max(_limit, SMALLEST_LIMIT_BYTES, int(max_pixels * BYTES_PER_PIXEL))
        if wanted != _limit:
            library = loaded_library()
            if library is None:
                return 0
            library.av_max_alloc(ctypes.c_size_t(wanted))
            _limit = wanted
        return _limit


def loaded_library() -> ctypes.CDLL | None:
    """Return libavutil as this process has loaded it; importing av, which capture does, loads it."""
    try:
        maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
        paths = {match.group().strip() for line in maps.splitlines() if (match := _LIBRARY.search(line))}
        return ctypes.CDLL(min(paths)) if paths else None
    except OSError:
        return None
