"""A local worker of an archive: ``python -m ferstream.archive.workers.worker_process``, which ``LocalWorkers`` starts.

Tasks come on stdin and reports go to stdout; see ``worker_messages``. The process ends at once when its stdin ends, also in the middle of a
chunk, because its driver has ended then. Ctrl-C of the terminal does not end it: its driver decides.
"""

from __future__ import annotations

import gc
import os
import queue
import shutil
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import BinaryIO, NoReturn

from ferstream.archive.tasks import Task
from ferstream.archive.workers.worker_messages import Answer, Loaded, NotStarted, Setup, decode_setup, decode_task, encode
from ferstream.errors import FerstreamError, first_line


def main() -> int:
    """Analyse what the driver sends; return the exit code of a worker that does not start."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    source, answers = _own_streams()
    line = source.readline()
    if not line:
        return 0
    setup = decode_setup(line)
    tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()
    threading.Thread(target=_read_tasks, args=(source, setup, tasks), name="driver", daemon=True).start()
    try:
        _work(setup, tasks, answers)
    except FerstreamError as exc:
        from ferstream.runtime.redaction import redact

        _send(answers, NotStarted(redact(first_line(exc))))
        return int(exc.exit_code)
    except BrokenPipeError:  # the driver has ended
        _end(setup)


def _own_streams() -> tuple[BinaryIO, int]:
    """Return stdin and the descriptor of stdout; libraries that print write to stderr from now on, and read nothing."""
    source, answers = os.fdopen(os.dup(0), "rb"), os.dup(1)
    os.dup2(2, 1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return source, answers


def _work(setup: Setup, tasks: queue.SimpleQueue[Task], answers: int) -> NoReturn:
    """Load the models, then do one task after the other, until the process is ended."""
    from ferstream.runtime.memory import tune_allocator

    tune_allocator()
    from ferstream.archive.machine import machine
    from ferstream.archive.plan_file import read_plan
    from ferstream.archive.storage.stores import is_remote, open_store
    from ferstream.archive.workers.analyzer import Analyzer
    from ferstream.logs import configure_logging

    configure_logging(level="warning", format="console")
    store = open_store(setup.where)
    plan = read_plan(store)
    if any(is_remote(recording.path) for recording in plan.recordings):
        Path(setup.scratch).mkdir(mode=0o700)
    analyzer = Analyzer(store, plan, cores=setup.cores, scratch=Path(setup.scratch))
    gc.freeze()  # what is loaded stays; the collection after each chunk need not look at it
    _send(answers, Loaded(machine(), socket.gethostname()))
    while True:
        _send(answers, analyzer.analyze(tasks.get()))


def _read_tasks(source: BinaryIO, setup: Setup, tasks: queue.SimpleQueue[Task]) -> None:
    """Take tasks from the driver; end the process when the driver has ended, whatever it does."""
    try:
        for line in source:
            tasks.put(decode_task(line))
    finally:
        _end(setup)


def _send(answers: int, answer: Answer) -> None:
    data = encode(answer)
    while data:
        data = data[os.write(answers, data) :]


def _end(setup: Setup) -> NoReturn:
    """End the process at once; what was fetched is removed."""
    shutil.rmtree(setup.scratch, ignore_errors=True)
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
