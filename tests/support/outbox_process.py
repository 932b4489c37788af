"""A process that uses an outbox file and is killed: ``python -m tests.support.outbox_process FOLDER (write COUNT | hold | read)``.

``write`` stores events for the readers ``mqtt`` and ``webhook`` and dies without closing the file, so that its journal stays.
``hold`` opens the outbox as a ferstream does and keeps it; ``read`` keeps a read transaction open, as a backup does.
It prints ``ready`` when it has what it wants; ``hold`` and ``read`` end when stdin closes.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ferstream.events.schemas import SCHEMAS
from ferstream.outbox.store import FILE_NAME
from tests.support.outboxes import make_outbox, message


def write_and_die(folder: Path, count: int) -> None:
    """Leave ``count`` events in the file and its journal."""
    subprocess.run([sys.executable, "-m", "tests.support.outbox_process", str(folder), "write", str(count)], check=False, timeout=60)


@contextmanager
def used_by_another_process(folder: Path, how: str) -> Iterator[subprocess.Popen[bytes]]:
    """Let another process ``hold`` or ``read`` the file within the context, or until its stdin is closed."""
    command = [sys.executable, "-m", "tests.support.outbox_process", str(folder), how]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        try:
            yield process
        finally:
            process.kill()


def main() -> None:
    """Be the process."""
    folder, how = Path(sys.argv[1]), sys.argv[2]
    if how == "read":
        db = sqlite3.connect(folder / FILE_NAME, isolation_level=None)
        db.execute("BEGIN")
        db.execute("SELECT count(*) FROM events").fetchall()
    else:
        outbox = make_outbox(folder)
        for name in ("mqtt", "webhook"):
            outbox.reader(name, schemas=SCHEMAS, on_ready=lambda: None)
        outbox.open()
        for seq in range(int(sys.argv[3]) if how == "write" else 0):
            outbox.append(message(seq))
        assert outbox.flush(30) == 0
        if how == "write":
            os.kill(os.getpid(), signal.SIGKILL)
    print("ready", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
