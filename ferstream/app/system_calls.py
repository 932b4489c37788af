"""Takes system calls from this process and its later threads: no connections, no other programs, no look into other processes.

A hole in a decoder then reaches what this process has open, and nothing on the network. The filter is classic BPF, as seccomp takes
it. Where the kernel or the machine is another, nothing is done.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
from typing import Final

_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
_LOAD, _IS_EQUAL, _IS_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER_AT, _ARCHITECTURE_AT = 0, 4
"""Places in the data that the kernel gives the filter."""
_X32 = 0x40000000
"""First number of another set of calls on x86-64, which does the same things."""
_ARCHITECTURES: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

_REFUSED: Final[dict[str, dict[str, int]]] = {
    "x86_64": {
        "socket": 41, "connect": 42, "accept": 43, "bind": 49, "listen": 50, "accept4": 288,
        "execve": 59, "execveat": 322, "kill": 62, "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311,
        "pidfd_open": 434, "pidfd_getfd": 438, "io_uring_setup": 425, "bpf": 321, "perf_event_open": 298, "userfaultfd": 323,
        "add_key": 248, "request_key": 249, "keyctl": 250, "mount": 165, "umount2": 166, "unshare": 272, "setns": 308,
    },
    "aarch64": {
        "socket": 198, "connect": 203, "accept": 202, "bind": 200, "listen": 201, "accept4": 242,
        "execve": 221, "execveat": 281, "kill": 129, "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271,
        "pidfd_open": 434, "pidfd_getfd": 438, "io_uring_setup": 425, "bpf": 280, "perf_event_open": 241, "userfaultfd": 282,
        "add_key": 217, "request_key": 218, "keyctl": 219, "mount": 40, "umount2": 39, "unshare": 97, "setns": 268,
    },
}  # fmt: skip
"""Numbers of the calls that are refused with EPERM, by machine. io_uring could make connections without ``connect``."""


class _Program(ctypes.Structure):
    """``struct sock_fprog`` of Linux."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def refuse_system_calls(machine: str | None = None) -> bool:
    """Refuse the calls from now on; ``PR_SET_NO_NEW_PRIVS`` must be set.

    Args:
        machine: Name of the machine as ``platform.machine()`` gives it; None for this one.

    Returns:
        Whether it was done.
    """
    machine = machine or platform.machine()
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if machine not in _REFUSED or prctl is None:
        return False
    program = filter_program(machine)
    pointer = ctypes.byref(_Program(len(program) // 8, program))
    return bool(prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, pointer, 0, 0) == 0)


def filter_program(machine: str) -> bytes:
    """Return the filter: refuse calls of another architecture and those of the list, allow the others."""
    numbers = sorted(_REFUSED[machine].values())
    to_end = len(numbers) + 1
    lines = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_IS_EQUAL, 0, to_end + 2, _ARCHITECTURES[machine]),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_IS_AT_LEAST, to_end, 0, _X32),
        *((_IS_EQUAL, to_end - 1 - place, 0, number) for place, number in enumerate(numbers)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    ]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)
