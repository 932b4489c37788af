"""The filter of system calls, in a process of its own, and its program as the kernel reads it."""

from __future__ import annotations

import struct
import subprocess
import sys

import pytest

from ferstream.app.system_calls import filter_program, refuse_system_calls

PROGRAM = """
import ctypes, os, socket, subprocess, threading
from ferstream.app.system_calls import refuse_system_calls
ours, theirs = socket.socketpair()
ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)
assert refuse_system_calls()
tries = {
    "socket": lambda: socket.socket(),
    "unix": lambda: socket.socket(socket.AF_UNIX),
    "connect": lambda: ours.connect("/tmp/x"),
    "bind": lambda: ours.bind("/tmp/x"),
    "exec": lambda: os.execv("/bin/true", ["true"]),
    "spawn": lambda: subprocess.run(["/bin/true"]),
    "kill": lambda: os.kill(os.getppid(), 0),
}
def run():
    for name, attempt in tries.items():
        try:
            attempt()
            print(name, "allowed")
        except PermissionError:
            print(name, "refused")
run()
thread = threading.Thread(target=run)
thread.start()
thread.join()
ours.sendall(b"open sockets work")
print(theirs.recv(99).decode())
"""


def test_connections_other_programs_and_signals_are_refused_also_in_threads() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    names = ("socket", "unix", "connect", "bind", "exec", "spawn", "kill")
    assert done.stdout.splitlines() == [f"{name} refused" for name in names] * 2 + ["open sockets work"]


def test_another_machine_is_left_as_it_is() -> None:
    assert not refuse_system_calls("riscv64")


@pytest.mark.parametrize(("machine", "architecture", "socket", "read"), [("x86_64", 0xC000003E, 41, 0), ("aarch64", 0xC00000B7, 198, 63)])
def test_the_program_refuses_what_it_lists_and_other_architectures(machine: str, architecture: int, socket: int, read: int) -> None:
    program = filter_program(machine)
    refuse, allow = 0x00050001, 0x7FFF0000
    assert run(program, architecture, socket) == refuse
    assert run(program, architecture, read) == allow
    assert run(program, architecture, 100_000) == allow
    assert run(program, architecture, 0x40000000 + read) == refuse
    assert run(program, 0x40000003, read) == refuse  # 32 bits of x86


def run(program: bytes, architecture: int, number: int) -> int:
    """What the filter returns for a call: a tiny machine for the four instructions that it uses."""
    lines = [struct.unpack_from("=HBBI", program, at) for at in range(0, len(program), 8)]
    at = value = 0
    while True:
        code, if_true, if_false, constant = lines[at]
        at += 1
        if code == 0x06:
            return int(constant)
        if code == 0x20:
            value = {0: number, 4: architecture}[constant]
        else:
            at += if_true if (value == constant if code == 0x15 else value >= constant) else if_false
