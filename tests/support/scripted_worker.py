"""A worker process that does what a test tells it: ``python scripted_worker.py DESCRIPTOR``. Its first message names a behaviour."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

from ferstream.web.worker import WorkerPlan
from ferstream.web.worker_protocol import PeerGoneError, receive_message, send_message

STILL = {"width": 640, "height": 480, "faces": []}
TIMELINE = b'{"duration_s":1.0,"width":640,"height":480,"labels":[],"tracks":[]}'


def plan(behaviour: str = "works", **more: Any) -> WorkerPlan:
    """How a worker with a behaviour is started: works, refuses, hangs, dies, exits, floods, crawls."""
    return WorkerPlan(command=(sys.executable, __file__), environment=os.environ, setup={"behaviour": behaviour, **more})


def _answer(sock: socket.socket, message: dict[str, Any], files: list[int], behaviour: str) -> None:
    if behaviour == "refuses":
        send_message(sock, {"error": f"{message['name']}: is not a picture", "is_input": True})
    elif behaviour == "crawls":
        for frames in range(1_000_000):
            send_message(sock, {"frames": frames // 1_000_000 + 1, "total": 100})
            time.sleep(0.01)
    elif message["do"] == "still":
        send_message(sock, {"still": STILL | {"bytes": os.fstat(files[0]).st_size}})
    else:
        send_message(sock, {"frames": 5, "total": 10})
        video = os.pread(files[0], 1 << 20, 0)
        os.write(files[1], b'{"bytes": %d}\n' % len(video))
        os.write(files[2], TIMELINE)
        for table in files[3:]:
            os.write(table, b"table")
        send_message(sock, {"frames": 10, "total": 10, "lost": 1, "done": True})


def main() -> None:
    """Serve until the socket is closed."""
    sock = socket.socket(fileno=int(sys.argv[1]))
    setup, _ = receive_message(sock)
    behaviour = setup["behaviour"]
    try:
        while True:
            message, files = receive_message(sock)
            marker = setup.get("marker")
            if marker:
                Path(marker).touch()
            if behaviour == "hangs":
                signal.pause()
            if behaviour == "dies":
                os.kill(os.getpid(), signal.SIGSEGV)
            if behaviour == "exits":
                sys.exit(3)
            if behaviour == "floods":
                sock.sendall(b"\xff" * 64)
                signal.pause()
            _answer(sock, message, files, behaviour)
            for file in files:
                os.close(file)
    except PeerGoneError:
        return


if __name__ == "__main__":
    main()
