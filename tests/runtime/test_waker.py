"""The pipe that wakes a thread that polls sockets."""

from __future__ import annotations

import select
import threading
from pathlib import Path

from ferstream.runtime.waker import Waker


def test_waking_from_many_threads_loses_no_call_and_leaves_no_byte() -> None:
    waker, stop, woken = Waker(), threading.Event(), 0

    def setter() -> None:
        while not stop.is_set():
            waker.set()

    threads = [threading.Thread(target=setter) for _ in range(2)]
    for thread in threads:
        thread.start()
    while woken < 200:
        assert select.select([waker.fileno()], [], [], 10)[0]
        waker.clear()
        woken += 1
    stop.set()
    for thread in threads:
        thread.join()
    waker.clear()
    assert not select.select([waker.fileno()], [], [], 0)[0]
    waker.set()
    assert select.select([waker.fileno()], [], [], 0)[0]
    waker.close()
    waker.set()
    waker.close()


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_waker_that_nobody_closed_leaves_no_descriptor() -> None:
    before = descriptors()
    waker = Waker()
    assert descriptors() == before + 2
    del waker
    assert descriptors() == before
