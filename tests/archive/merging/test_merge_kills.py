"""A merge that is killed at any moment, and goes on: the files are those of a merge that was not."""

from __future__ import annotations

import multiprocessing
import os
import select
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ferstream.archive.merging.merge import MergeHooks, MergeOptions, merge_archive
from ferstream.archive.merging.recording_merge import Merged
from ferstream.archive.plan import PlannedRecording
from ferstream.errors import FerstreamError
from tests.archive.conftest import Replayed
from tests.support.archives import cut_into_chunks, write_archive
from tests.support.peak_memory import ROOT

KILLS = 20
RECORDINGS = 8
_KILLED_AT_RANDOM = """
import os, random, signal, sys
from pathlib import Path
from ferstream.archive.merging.merge import MergeOptions, merge_archive

folder, events, kills = sys.argv[1], sys.argv[2], int(sys.argv[3])
chance = random.Random(12)

def merge():
    merge_archive(MergeOptions(archive=folder, events=Path(events)))

def child(last_s):
    pid = os.fork()
    if pid:
        return os.waitpid(pid, 0)[1]
    signal.setitimer(signal.ITIMER_REAL, last_s)  # SIGALRM ends the process as SIGKILL does: nothing of Python runs
    merge()
    os._exit(0)

killed = 0
while killed < kills:
    killed += os.WIFSIGNALED(child(chance.uniform(0.02, 0.6)))
    if chance.random() < 0.3:  # else all would be merged after some kills
        done = sorted((Path(folder) / "merged").glob("*.json"))
        if done:
            chance.choice(done).unlink()
merge()
print("killed", killed)
"""
_KILLED_AT_A_FILE = """
import os, signal, sys
from pathlib import Path
import ferstream.archive.storage.store
from ferstream.archive.merging.merge import MergeOptions, merge_archive

folder, events = sys.argv[1], sys.argv[2]
calls, limit = 0, 0

def dying(function):
    def call(*args, **kwargs):
        global calls
        calls += 1
        if calls == limit:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)
    return call

for name in ("fsync", "open", "mkdir", "rename", "replace", "unlink", "rmdir"):
    setattr(os, name, dying(getattr(os, name)))

limit = 1
while True:
    pid = os.fork()
    if not pid:
        merge_archive(MergeOptions(archive=folder, events=Path(events), tables=False))
        os._exit(0)
    if not os.WIFSIGNALED(os.waitpid(pid, 0)[1]):
        break
    limit += 1
print("killed", limit - 1)
"""

_WITH_PROCESSES = """
import multiprocessing, sys
from pathlib import Path
from ferstream.archive.merging.merge import MergeHooks, MergeOptions, merge_archive

def wait_for_the_end(recording, merged):
    print(*(process.pid for process in multiprocessing.active_children()), flush=True)
    sys.stdin.read()

if __name__ == "__main__":
    options = MergeOptions(archive=sys.argv[1], events=Path(sys.argv[1]) / "jsonl", tables=False, workers=2)
    merge_archive(options, MergeHooks(on_merged=wait_for_the_end))
"""


def archive(folder: Path, replayed: Replayed) -> Path:
    """An archive of some recordings, the shorter clips again and again."""
    clips = [item for item in replayed.analysed if len(item.result.frames.index) < 200]
    recordings = []
    for number in range(RECORDINGS):
        clip = clips[number % len(clips)]
        recording = replace(clip.recording, number=number, camera=f"cam-{number}")
        recordings.append((recording, cut_into_chunks(replace(clip.result, recording=number), [0, 30, 60])))
    write_archive(folder, recordings, settings=replayed.settings, model=replayed.model)
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    """Name and content of all files but the lock, which names a process."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


def run(program: str, *words: object) -> str:
    """Run a program; return what it prints."""
    done = subprocess.run([sys.executable, "-c", program, *map(str, words)], cwd=ROOT, text=True, capture_output=True, timeout=400)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def expected(tmp_path: Path, replayed: Replayed, *, tables: bool) -> dict[str, bytes]:
    """The files of a merge that was not killed; its folder of events has the place of that of the killed ones."""
    folder = archive(tmp_path / "archive", replayed)
    merge_archive(MergeOptions(archive=str(folder), events=folder / "jsonl", tables=tables))
    files = tree(folder)
    folder.rename(tmp_path / "expected")
    return files


def test_a_merge_killed_twenty_times_at_random_writes_the_same_files(tmp_path: Path, replayed: Replayed) -> None:
    pytest.importorskip("pyarrow")
    files = expected(tmp_path, replayed, tables=True)
    folder = archive(tmp_path / "archive", replayed)

    printed = run(_KILLED_AT_RANDOM, folder, folder / "jsonl", KILLS)

    assert printed == f"killed {KILLS}\n"
    assert tree(folder) == files


def test_a_merge_killed_before_each_of_its_calls_that_change_a_file_writes_the_same_files(tmp_path: Path, replayed: Replayed) -> None:
    files = expected(tmp_path, replayed, tables=False)
    folder = archive(tmp_path / "archive", replayed)

    printed = run(_KILLED_AT_A_FILE, folder, folder / "jsonl")

    assert int(printed.split()[1]) > RECORDINGS
    assert tree(folder) == files


def test_the_processes_end_with_their_parent(tmp_path: Path, replayed: Replayed) -> None:
    folder = archive(tmp_path, replayed)
    parent = subprocess.Popen([sys.executable, "-c", _WITH_PROCESSES, str(folder)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert parent.stdin is not None
    assert parent.stdout is not None
    processes = [os.pidfd_open(int(pid)) for pid in parent.stdout.readline().split()]
    assert len(processes) == 2

    parent.kill()
    parent.wait(20)

    for process in processes:
        assert select.select([process], [], [], 20)[0]
        os.close(process)
    parent.stdin.close()
    parent.stdout.close()


def test_a_process_that_is_killed_is_an_error_and_the_same_merge_goes_on(tmp_path: Path, replayed: Replayed) -> None:
    files = expected(tmp_path, replayed, tables=False)
    folder = archive(tmp_path / "archive", replayed)
    options = MergeOptions(archive=str(folder), events=folder / "jsonl", tables=False, workers=2)

    def kill_one(recording: PlannedRecording, merged: Merged) -> None:
        os.kill(multiprocessing.active_children()[0].pid or 0, signal.SIGKILL)

    with pytest.raises(FerstreamError, match=r"the process that merged .* ended \(exit code -9\); the same command goes on"):
        merge_archive(options, MergeHooks(on_merged=kill_one))
    assert not multiprocessing.active_children()

    merge_archive(options)

    assert tree(folder) == files
