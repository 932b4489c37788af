"""The notify protocol over a real unix datagram socket."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.telemetry.systemd import Notifier, watchdog_timeout_s
from tests.support.clock import FakeClock


@contextlib.contextmanager
def listening(address: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.bind("\0" + address[1:] if address.startswith("@") else address)
        yield sock


def test_each_message_is_what_the_manual_says(tmp_path: Path, clock: FakeClock) -> None:
    path = str(tmp_path / "notify")
    with listening(path) as manager:
        notifier = Notifier(address=path, clock=clock)
        messages: list[tuple[Callable[[], bool], bytes]] = [
            (lambda: notifier.ready("2 cameras"), b"READY=1\nSTATUS=2 cameras"),
            (lambda: notifier.ready(), b"READY=1"),
            (lambda: notifier.status("24.9 fps, broker connected"), b"STATUS=24.9 fps, broker connected"),
            (notifier.watchdog, b"WATCHDOG=1"),
            (notifier.reloading, b"RELOADING=1\nMONOTONIC_USEC=1000000000"),
            (lambda: notifier.stopping("draining"), b"STOPPING=1\nSTATUS=draining"),
            (lambda: notifier.extend_timeout(12.5), b"EXTEND_TIMEOUT_USEC=12500000"),
        ]
        for send, expected in messages:
            assert send()
            assert manager.recv(4096) == expected


def test_an_abstract_socket_is_reached(tmp_path: Path) -> None:
    address = f"@ferstream-test-{tmp_path.name}-{id(tmp_path)}"
    with listening(address) as manager:
        assert Notifier.from_environment({"NOTIFY_SOCKET": address}).watchdog()
        assert manager.recv(4096) == b"WATCHDOG=1"


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}])
def test_without_a_manager_nothing_is_sent(environ: dict[str, str]) -> None:
    notifier = Notifier.from_environment(environ)
    assert not notifier.enabled
    assert not any([notifier.ready(), notifier.status("x"), notifier.watchdog(), notifier.reloading(), notifier.stopping()])


def test_a_manager_that_is_gone_is_logged_and_survived(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert not Notifier(address=str(tmp_path / "gone")).watchdog()
    assert "WATCHDOG=1" in caplog.text


@given(st.text(min_size=1, max_size=2000))
def test_no_status_can_start_another_assignment(text: str) -> None:
    with listening("@ferstream-test-status") as manager:
        notifier = Notifier(address="@ferstream-test-status")
        if notifier.status(text + "x\nREADY=1"):
            assert manager.recv(8192).count(b"\n") == 0


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "41"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "42"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "²"}, None),
    ],
)
def test_the_limit_is_read_from_the_environment(environ: dict[str, str], expected: float | None) -> None:
    assert watchdog_timeout_s(environ, pid=41) == expected
