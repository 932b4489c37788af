"""The embedded broker as a process."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from ferstream.broker.embedded import HOST, EmbeddedBroker
from ferstream.broker.login import USERNAME
from ferstream.errors import BrokerError
from ferstream.runtime.backoff import Backoff
from tests.support.brokers import Subscriber, back_ports, client_url, kill_child, until
from tests.support.ports import free_port


def answers(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except OSError:
        return False
    return True


def test_the_requested_port_is_used_and_released() -> None:
    port = free_port()
    broker = EmbeddedBroker(port=port)
    broker.start()
    assert broker.port == port
    assert broker.url == f"mqtt://127.0.0.1:{port}"
    assert answers(port) and broker.running
    broker.stop()
    broker.stop()
    assert not answers(port)
    assert not broker.running


def test_a_port_in_use_is_replaced_by_a_free_one() -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        broker = EmbeddedBroker(port=port)
        broker.start()
        assert broker.port not in (0, port)
        broker.stop()


def test_the_broker_listens_on_loopback_only(embedded: EmbeddedBroker) -> None:
    listening = Path("/proc/net/tcp").read_text().splitlines()[1:]
    ports = {embedded.port, *back_ports(embedded)}
    addresses = {
        line.split()[1].split(":")[0] for line in listening if int(line.split()[1].split(":")[1], 16) in ports and line.split()[3] == "0A"
    }
    assert len(ports) == 2
    assert addresses == {"0100007F"}


def test_no_file_is_left_behind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    broker = EmbeddedBroker(port=0)
    broker.start()
    assert list(tmp_path.iterdir()) == []
    broker.stop()


def test_clients_of_both_versions_exchange_messages(embedded: EmbeddedBroker) -> None:
    from paho.mqtt import publish
    from paho.mqtt.enums import MQTTProtocolVersion

    with Subscriber(client_url(embedded), "x/#", protocol=4) as old, Subscriber(client_url(embedded), "x/#", protocol=5) as new:
        login: Any = {"username": embedded.login.username, "password": embedded.login.password}
        for version in (MQTTProtocolVersion.MQTTv311, MQTTProtocolVersion.MQTTv5):
            publish.single(f"x/{version.value}", b"hello", qos=1, hostname=HOST, port=embedded.port, protocol=version, auth=login)
        for subscriber in (old, new):
            subscriber.wait(lambda messages: {m.topic for m in messages} == {"x/4", "x/5"})


def test_invalid_packets_do_not_stop_the_broker(embedded: EmbeddedBroker) -> None:
    for rubbish in (b"GET / HTTP/1.1\r\n\r\n", b"\x10\xff\xff\xff\xff", b"\x10\x02\x00\x00", b"\x00" * 100):
        with socket.create_connection((HOST, embedded.port), timeout=5) as connection:
            connection.sendall(rubbish)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(100):
                pass
    with Subscriber(client_url(embedded), "x/#"):
        assert embedded.running


PARENT = """
import sys, threading
from ferstream.broker.embedded import EmbeddedBroker
broker = EmbeddedBroker(port=0)
broker.start()
print(broker.port, broker.login.password, flush=True)
threading.Event().wait()
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_the_broker_ends_with_its_parent(root_dir: Path, how: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], cwd=root_dir, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        port = int(parent.stdout.readline().split()[0])
        assert answers(port)
        parent.send_signal(how)
    until(lambda: not answers(port))


def test_the_broker_outlives_a_signal_to_its_process_group(root_dir: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + PARENT],
        cwd=root_dir,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as parent:
        assert parent.stdout is not None
        port, password = parent.stdout.readline().decode().split()
        os.killpg(parent.pid, signal.SIGINT)
        with Subscriber(f"mqtt://{HOST}:{port}", "x/#", username=USERNAME, password=password):
            parent.kill()
    until(lambda: not answers(int(port)))


@pytest.fixture
def own() -> Iterator[EmbeddedBroker]:
    """A broker that is started again at once, to be harmed."""
    broker = EmbeddedBroker(port=0, backoff=Backoff(floor_s=0.01, cap_s=0.05))
    broker.start()
    yield broker
    broker.stop()


@pytest.mark.parametrize("protocol", [4, 5])
def test_a_killed_broker_restarts_on_its_ports_and_clients_reconnect(
    own: EmbeddedBroker, caplog: pytest.LogCaptureFixture, protocol: Literal[4, 5]
) -> None:
    caplog.set_level(logging.INFO, "ferstream.broker")
    port, url = own.port, own.url
    with Subscriber(client_url(own), "x/#", protocol=protocol) as subscriber:
        for times in (2, 3):
            pid = kill_child(own)
            subscriber.wait_subscribed(times)
            assert (own.port, own.url) == (port, url)
            until(lambda dead=pid: not Path(f"/proc/{dead}").exists())  # type: ignore[misc]
            # A client may be back before both ports were seen to answer: a kill then is a start that failed, not an end.
            until(lambda ups=times - 1: caplog.text.count("the embedded broker is up again") == ups)  # type: ignore[misc]
        assert own.running
    assert caplog.text.count("the embedded broker ended (signal 9); it is started again on port") == 2


class FaultyPython:
    """An interpreter for the broker's process that can be told to end or to hang at its next start.

    Attributes:
        path: The program.
    """

    def __init__(self, folder: Path) -> None:
        self.path, self._fault, self._reached = folder / "python", folder / "fault", folder / "reached"
        faulty = f"if [ -e {self._fault} ]; then touch {self._reached}; exec $(cat {self._fault}); fi"
        self.path.write_text(f'#!/bin/sh\n{faulty}\nexec {sys.executable} "$@"\n')
        self.path.chmod(0o755)

    def fail(self, command: str) -> None:
        """Run a command in place of the broker from now on."""
        self._fault.write_text(command)

    def wait_reached(self) -> None:
        """Wait until the command was run."""
        until(self._reached.exists)

    def work(self) -> None:
        """Run the broker from now on."""
        self._fault.unlink()


@pytest.fixture
def python(tmp_path: Path) -> FaultyPython:
    return FaultyPython(tmp_path)


def test_a_stop_ends_a_restart_that_hangs(embedded: EmbeddedBroker, python: FaultyPython) -> None:
    others = threading.enumerate()
    own = EmbeddedBroker(port=0, backoff=Backoff(floor_s=0.01, cap_s=0.05), python=str(python.path))
    own.start()
    python.fail("sleep 600")
    port, dead = own.port, kill_child(own)
    python.wait_reached()
    own.stop()
    assert not own.running and own.pid is None
    assert not answers(port)
    assert not Path(f"/proc/{dead}").exists()
    assert not [thread for thread in threading.enumerate() if thread.name == "embedded-broker" and thread not in others]


def test_a_stop_ends_the_pause_before_a_restart() -> None:
    broker = EmbeddedBroker(port=0, backoff=Backoff(floor_s=60, cap_s=60))
    broker.start()
    kill_child(broker)
    until(lambda: broker.pid is None)
    broker.stop()
    assert broker.pid is None
    broker.start()
    assert answers(broker.port)
    broker.stop()


def test_a_restart_that_fails_is_logged_and_tried_again(python: FaultyPython, caplog: pytest.LogCaptureFixture) -> None:
    own = EmbeddedBroker(port=0, backoff=Backoff(floor_s=0.01, cap_s=0.05), python=str(python.path))
    own.start()
    python.fail("false")
    kill_child(own)
    until(lambda: "did not start again: the process ended at once; retrying" in caplog.text)
    python.work()
    with Subscriber(client_url(own), "x/#"):
        assert own.running
    own.stop()


def test_a_broker_that_does_not_start_is_an_error() -> None:
    with pytest.raises(BrokerError, match=r"embedded broker did not start: the process ended at once"):
        EmbeddedBroker(port=0, python="/bin/false").start()
