"""Reads many files of a store: one after the other from a disk, several at a time where each takes a while to come."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

from ferstream.archive.storage.store import LocalStore, Store

AT_A_TIME = 16
"""Objects of a store that are fetched at a time."""


def contents(store: Store, names: Iterable[str]) -> Iterator[tuple[str, bytes | None]]:
    """Yield names and contents of files in their order; None for a file that does not exist.

    Args:
        store: Where they are; must allow calls of several threads.
        names: Their names.

    Raises:
        OutputError: One cannot be read.
    """
    if isinstance(store, LocalStore):
        for name in names:
            yield name, _content(store, name)
        return
    with ThreadPoolExecutor(AT_A_TIME, thread_name_prefix="read-ahead") as pool:
        coming = iter(names)
        fetched: deque[tuple[str, Future[bytes | None]]] = deque()
        while True:
            fetched.extend((name, pool.submit(_content, store, name)) for name in islice(coming, AT_A_TIME - len(fetched)))
            if not fetched:
                return
            name, future = fetched.popleft()
            yield name, future.result()


def _content(store: Store, name: str) -> bytes | None:
    try:
        return store.read(name)
    except FileNotFoundError:
        return None
