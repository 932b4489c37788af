"""The process of the embedded broker: ``python -m ferstream.broker.child FOLDER DESCRIPTOR``.

DESCRIPTOR is the listening socket for clients, bound by the parent. The first line of stdin is the password that clients
need. rumqttd listens for MQTT 5 on a free port of the loopback address, with another password that is made here; its
settings are a file in FOLDER, which the parent deletes. ``ready`` on stdout says that clients can connect.

The process ends when the pipe on its stdin closes, which the kernel does however the parent ends.
Signals to the whole process group (Ctrl-C, systemd) are ignored: the broker must still accept the parent's last
events.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

from ferstream.broker.front import HOST, Front
from ferstream.broker.login import USERNAME, Login

READY = b"ready\n"
START_TIMEOUT_S = 15.0
_POLL_S = 0.02
_LISTENS = "0A"

_CONFIG = """id = 0

[router]
id = 0
max_connections = 200
max_outgoing_packet_count = 200
max_segment_size = 4194304
max_segment_count = 10

[v5.1]
name = "v5"
listen = "{host}:{port}"
next_connection_delay_ms = 1

[v5.1.connections]
connection_timeout_ms = 60000
max_payload_size = 1048576
max_inflight_count = 200
dynamic_filters = true

[v5.1.connections.auth]
{username} = "{password}"
"""


def owns_listener(port: int) -> bool:
    """Return whether this process itself listens on a port of the loopback address.

    A port that merely answers may belong to another user, who would get the password.
    """
    wanted = f"0100007F:{port:04X}"
    rows = [line.split() for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]]
    inodes = {f"socket:[{row[9]}]" for row in rows if row[1] == wanted and row[3] == _LISTENS}
    return bool(inodes & _open_sockets())


def _open_sockets() -> set[str]:
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            found.add(str(descriptor.readlink()))
    return found


def _start_rumqttd(folder: Path) -> tuple[int, Login]:
    """Start rumqttd in a thread; return its port and its login once it listens."""
    from iotcore import IotCoreBroker

    login = Login.random()
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = int(probe.getsockname()[1])
    config = folder / "rumqttd.toml"
    config.write_text(_CONFIG.format(host=HOST, port=port, username=login.username, password=login.password), encoding="utf-8")
    broker = IotCoreBroker(config_path=str(config))
    thread = threading.Thread(target=broker.run_forever, name="rumqttd", daemon=True)
    thread.start()
    deadline, pause = time.monotonic() + START_TIMEOUT_S, threading.Event()
    while not owns_listener(port):
        if not thread.is_alive() or time.monotonic() > deadline:
            os._exit(1)  # somebody else took the port: the parent starts another process
        pause.wait(_POLL_S)
    return port, login


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def _say_ready() -> None:
    os.write(1, READY)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)


async def _serve(front: Front, listener: socket.socket) -> None:
    asyncio.get_running_loop().call_soon(_say_ready)
    await front.serve(listener)


def main() -> None:
    """Serve until the parent ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    folder, listener = Path(sys.argv[1]), socket.socket(fileno=int(sys.argv[2]))
    password = sys.stdin.buffer.readline().decode().rstrip("\n")
    threading.Thread(target=_end_with_parent, name="parent-watch", daemon=True).start()
    back_port, back_login = _start_rumqttd(folder)
    front = Front(login=Login(USERNAME, password), back_port=back_port, back_login=back_login)
    asyncio.run(_serve(front, listener))


if __name__ == "__main__":
    main()
