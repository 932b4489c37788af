"""A local worker: ``python -m ferstream.archive.worker_process ARCHIVE CORES``.

Each line on its standard input is a task, each line on its standard output what came of it, as JSON; what libraries print goes to the
standard error. The process ends at once when its standard input ends, also in the middle of a chunk: the driver is gone, or wants no more.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterable
from typing import IO, Any, NoReturn

from ferstream.archive.stores import open_store
from ferstream.archive.tasks import Differs, Done, Failed, Outcome, Task
from ferstream.archive.unfinished import read_plan
from ferstream.errors import FerstreamError, first_line

KINDS: dict[str, type[Done | Differs | Failed]] = {"done": Done, "differs": Differs, "failed": Failed}
"""Kinds of outcomes by their names in messages."""


def encode_outcome(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as JSON."""
    name = next(name for name, kind in KINDS.items() if type(outcome) is kind)
    return {name: {field: getattr(outcome, field) for field in outcome.__dataclass_fields__}}


def decode_outcome(message: dict[str, Any]) -> Outcome:
    """Return the outcome in a message.

    Raises:
        ValueError: It is none.
    """
    for name, kind in KINDS.items():
        if name in message:
            return kind(**message[name])
    raise ValueError("the message has no outcome")


def main(where: str, cores: int) -> None:
    """Analyse chunks until the standard input ends.

    Args:
        where: The archive.
        cores: Cores that this process may use.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes of a terminal; the driver decides what ends
    answers = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    try:
        _work(where, cores, answers)
    except FerstreamError as exc:
        sys.exit(first_line(exc))  # the driver shows the last line of the standard error


def _work(where: str, cores: int, answers: IO[str]) -> None:
    from ferstream.archive.analyzer import Analyzer
    from ferstream.archive.machine import machine

    store = open_store(where)
    with Analyzer(store, read_plan(store), cores=cores) as analyzer:
        tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()
        reader = threading.Thread(target=_read_tasks, args=(sys.stdin, tasks.put, analyzer.forget_source), name="tasks", daemon=True)
        reader.start()
        _send(answers, {"machine": machine(), "host": socket.gethostname()})
        while True:
            _send(answers, encode_outcome(analyzer.analyze(tasks.get())))


def _read_tasks(lines: Iterable[str], put: Callable[[Task], None], before_end: Callable[[], None]) -> NoReturn:
    """Pass on the tasks; end the process when there are no more lines."""
    for line in lines:
        recording, chunk = json.loads(line)
        put(Task(recording, chunk))
    before_end()
    os._exit(0)  # the other threads are in the middle of a chunk that nobody wants


def _send(answers: IO[str], message: dict[str, Any]) -> None:
    try:
        answers.write(json.dumps(message) + "\n")
        answers.flush()
    except BrokenPipeError:
        os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
