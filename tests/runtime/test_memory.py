"""Arenas and free pages of the allocator, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ferstream.runtime.memory import tune_allocator

COUNT_ARENAS = """
import ctypes, re, tempfile, threading
from ferstream.runtime.memory import tune_allocator
limited = tune_allocator(arenas=2)
go = threading.Event()
def hold():
    kept = [bytes(100_000) for _ in range(50)]
    libc.malloc(50_000)
    go.wait()
libc = ctypes.CDLL(None)
threads = [threading.Thread(target=hold) for _ in range(12)]
for thread in threads: thread.start()
with tempfile.NamedTemporaryFile() as file:
    libc.fopen.restype = ctypes.c_void_p
    stream = ctypes.c_void_p(libc.fopen(file.name.encode(), b"w"))
    libc.malloc_info(0, stream)
    libc.fclose(stream)
    print(limited, len(re.findall("<heap nr", open(file.name).read())))
go.set()
for thread in threads: thread.join()
"""


def arenas(**environment: str) -> tuple[bool, int]:
    done = subprocess.run([sys.executable, "-c", COUNT_ARENAS], text=True, capture_output=True, check=True, timeout=60, env=environment)
    limited, count = done.stdout.split()
    return limited == "True", int(count)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc only")
def test_threads_share_two_arenas() -> None:
    limited, count = arenas()
    assert limited
    assert count <= 2


def test_malloc_arena_max_in_the_environment_wins() -> None:
    limited, count = arenas(MALLOC_ARENA_MAX="6")
    assert not limited
    assert count > 2


HOLES = """
import pathlib
from ferstream.runtime.memory import give_back, tune_allocator
def resident():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * 4096
tune_allocator(arenas=1)
kept = [bytes(100_000) for _ in range(600)]
last = bytes(100_000)  # the heap cannot shrink below it
before = resident()
del kept
done = give_back()
print(done, before - resident())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc only")
def test_free_pages_in_the_middle_of_a_heap_are_returned() -> None:
    done = subprocess.run([sys.executable, "-c", HOLES], text=True, capture_output=True, check=True, timeout=60, env={})
    returned, freed = done.stdout.split()
    assert returned == "True"
    assert int(freed) > 40_000_000


def test_zero_arenas_are_an_error() -> None:
    with pytest.raises(ValueError, match="arenas"):
        tune_allocator(arenas=0)
