"""OpenCV's thread pool while pipelines run: it would compete with their threads. Any thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import cv2

_LOCK = threading.Lock()
_USERS = 0
_BEFORE = 0


@contextmanager
def one_opencv_thread() -> Iterator[None]:
    """Run OpenCV with one thread in this process; after the last of several contexts, with as many as the program had set."""
    global _USERS, _BEFORE
    with _LOCK:
        if not _USERS:
            _BEFORE = cv2.getNumThreads()
        _USERS += 1
        cv2.setNumThreads(1)
    try:
        yield
    finally:
        with _LOCK:
            _USERS -= 1
            if not _USERS:
                cv2.setNumThreads(_BEFORE)
