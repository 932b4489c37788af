"""The internet sockets of a process, from /proc."""

from __future__ import annotations

import socket
import struct
from pathlib import Path


def sockets_of(pid: int) -> list[str]:
    """The remote address of each connected socket, the local one of each other socket, of a process and its children."""
    inodes = {target for process in (pid, *_children(pid)) for target in _socket_inodes(process)}
    found = []
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[9] in inodes:
                remote, local = _address(fields[2]), _address(fields[1])
                found.append(local if remote in ("0.0.0.0", "::") else remote)
    return found


def open_files() -> int:
    """Number of open files of this process."""
    return len(list(Path("/proc/self/fd").iterdir()))


def is_loopback(address: str) -> bool:
    return address.startswith("127.") or address in ("::1", "::ffff:127.0.0.1")


def _children(pid: int) -> list[int]:
    return [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]


def _socket_inodes(pid: int) -> set[str]:
    targets = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            targets.append(str(entry.readlink()))
        except FileNotFoundError:  # closed meanwhile
            continue
    return {target[len("socket:[") : -1] for target in targets if target.startswith("socket:[")}


def _address(text: str) -> str:
    digits = text.partition(":")[0]
    raw = b"".join(struct.pack("=I", int(digits[index : index + 8], 16)) for index in range(0, len(digits), 8))
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)
