"""Many files of a store, in their order."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from ferstream.archive.storage.read_ahead import AT_A_TIME, contents
from ferstream.archive.storage.store import LocalStore
from ferstream.errors import OutputError


class Objects:
    """Objects of a store in memory; the first ones come only when several have been asked for."""

    where = "memory://"

    def __init__(self, names: list[str], together: int) -> None:
        self._names = names
        self._barrier = threading.Barrier(together)
        self._waits = set(names[:together])
        self.asked: list[str] = []

    def read(self, name: str) -> bytes:
        self.asked.append(name)
        if name in self._waits:
            self._barrier.wait(60)
        if name not in self._names:
            raise FileNotFoundError(name)
        if name == "bad":
            raise OutputError("cannot read bad")
        return name.encode()

    def write(self, name: str, data: bytes) -> None:
        raise NotImplementedError

    def put(self, name: str, file: Path) -> None:
        raise NotImplementedError

    def names(self, folder: str) -> None:
        raise NotImplementedError

    def remove(self, name: str) -> None:
        raise NotImplementedError


NAMES = [str(number) for number in range(50)]


def test_objects_are_fetched_several_at_a_time_and_come_in_order() -> None:
    store = Objects(NAMES, together=AT_A_TIME)
    assert list(contents(store, NAMES)) == [(name, name.encode()) for name in NAMES]  # type: ignore[arg-type]


def test_no_more_objects_are_in_memory_than_are_fetched_at_a_time() -> None:
    store = Objects(NAMES, together=1)
    next(contents(store, NAMES))  # type: ignore[arg-type]
    assert len(store.asked) <= AT_A_TIME


def test_a_missing_file_has_no_content(tmp_path: Path) -> None:
    local = LocalStore(tmp_path)
    local.write("a", b"1")
    assert list(contents(local, ["a", "b"])) == [("a", b"1"), ("b", None)]
    assert list(contents(Objects(["a"], together=1), ["a", "b"])) == [("a", b"a"), ("b", None)]  # type: ignore[arg-type]


def test_an_object_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(OutputError, match="cannot read bad"):
        list(contents(Objects(["a", "bad"], together=1), ["a", "bad"]))  # type: ignore[arg-type]
