"""A real Mosquitto that tests can stop and freeze, a back-off that tests can hold, and a subscriber."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest

from ferstream.broker.embedded import EmbeddedBroker
from ferstream.runtime.backoff import Backoff
from ferstream.sinks.mqtt.connection import BrokerAddress, Incoming
from ferstream.sinks.mqtt.subscriber import listen
from tests.support.ports import HOST, free_port

WAIT_S = 120.0
"""Longest wait in seconds for something that takes milliseconds on an idle machine."""


def await_port(port: int, *, alive: Callable[[], bool], timeout_s: float = WAIT_S) -> None:
    """Wait until something accepts connections on ``port``."""
    deadline, pause = time.monotonic() + timeout_s, threading.Event()
    while True:
        try:
            with socket.create_connection((HOST, port), timeout=1):
                return
        except OSError:
            assert alive(), "the process ended at once"
            assert time.monotonic() < deadline, f"port {port} does not answer"
            pause.wait(0.02)


def until(ready: Callable[[], bool], timeout_s: float = WAIT_S) -> None:
    """Poll a condition that has no event of its own."""
    deadline, pause = time.monotonic() + timeout_s, threading.Event()
    while not ready():
        assert time.monotonic() < deadline, f"the condition was not met within {timeout_s} s"
        pause.wait(0.01)


def client_url(broker: EmbeddedBroker) -> str:
    """The broker's address with its login, as ``address_fields`` takes it apart."""
    return f"mqtt://{broker.login.username}:{broker.login.password}@{HOST}:{broker.port}"


def back_ports(broker: EmbeddedBroker) -> set[int]:
    """The ports on which the child listens, but for the one of the clients."""
    child = Path(f"/proc/{broker.pid}")
    rows = [line.split() for line in (child / "net" / "tcp").read_text().splitlines()[1:]]
    own = {str(descriptor.readlink()) for descriptor in (child / "fd").iterdir() if descriptor.is_socket()}
    ports = {int(row[1].split(":")[1], 16) for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in own}
    return ports - {broker.port}


def kill_child(broker: EmbeddedBroker) -> int:
    """Kill the process of the broker, without a word to the broker; the process's id."""
    pid = broker.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    return pid


def address_fields(url: str) -> dict[str, Any]:
    """The fields of a BrokerAddress of a URL that may hold a user name and a password."""
    parts = urlsplit(url)
    if parts.username is None:
        return {"url": url}
    return {"url": f"{parts.scheme}://{parts.hostname}:{parts.port}", "username": parts.username, "password": parts.password or ""}


class Mosquitto:
    """A real Mosquitto in its own folder; it keeps its port and its sessions over restarts."""

    def __init__(self, folder: Path, *lines: str, anonymous: bool = True, port: int | None = None) -> None:
        binary = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
        if binary is None:
            pytest.skip("mosquitto is not installed")
        self._binary, self.port = binary, port or free_port()
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(exist_ok=True)
        self._config = folder / "mosquitto.conf"
        head = (
            "user root",
            f"listener {self.port} {HOST}",
            f"allow_anonymous {'true' if anonymous else 'false'}",
            "max_queued_messages 0",
            "persistence true",
            f"persistence_location {folder}/",
        )
        self._config.write_text("\n".join((*head, *lines)) + "\n")

    @property
    def url(self) -> str:
        """URL of the broker."""
        return f"mqtt://{HOST}:{self.port}"

    def start(self) -> Mosquitto:
        """Start and wait until it answers."""
        self._process = subprocess.Popen([self._binary, "-c", str(self._config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        process = self._process
        await_port(self.port, alive=lambda: process.poll() is None)
        return self

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def freeze(self) -> None:
        """Stop the process with SIGSTOP; its sockets stay open."""
        self.send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Continue the process after ``freeze``."""
        self.send(signal.SIGCONT)

    def end(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End the process and wait; more than one call is allowed."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGCONT)
            process.send_signal(how)
            process.wait(10)


class Gate(Backoff):
    """A back-off with short pauses; no attempt begins while it is shut."""

    def __init__(self) -> None:
        super().__init__(floor_s=0.01, cap_s=0.05)
        self._open = threading.Event()
        self._open.set()

    def shut(self) -> None:
        """Let no new attempt begin."""
        self._open.clear()

    def open(self) -> None:
        """Let attempts begin."""
        self._open.set()

    def wait(self, stop: threading.Event) -> bool:
        """Wait a short pause, then until the gate is open. Return whether a stop ended the wait."""
        if super().wait(stop):
            return True
        while not self._open.wait(0.02):
            if stop.is_set():
                return True
        return False


class Subscriber:
    """Records messages in a thread of its own; a context manager."""

    def __init__(
        self,
        url: str,
        *topics: str,
        qos: int = 1,
        protocol: Literal[4, 5] = 5,
        username: str | None = None,
        password: str | None = None,
    ) -> None:
        login = {"username": username, "password": password} if username is not None else {}
        fields: dict[str, Any] = {"protocol": protocol} | address_fields(url) | login
        self._address = BrokerAddress(client_id=f"test-{secrets.token_hex(4)}", **fields)
        self._topics, self._qos = topics or ("#",), qos
        self._changed = threading.Condition(threading.RLock())
        self._stop = threading.Event()
        self._messages: list[Incoming] = []
        self._decoded: dict[str, list[dict[str, Any]]] = {}
        self._subscriptions = 0
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="subscriber")

    @property
    def client_id(self) -> str:
        """Client id at the broker."""
        return self._address.client_id

    def __enter__(self) -> Subscriber:
        self._thread.start()
        self.wait_subscribed(1)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        try:
            listen(self._address, self._topics, on_message=self._take, stop=self._stop, on_ready=self._ready, qos=self._qos)
        except BaseException as exc:  # noqa: BLE001 (raised by the test that waits for messages)
            self._error = exc
            with self._changed:
                self._changed.notify_all()

    def _take(self, message: Incoming) -> None:
        with self._changed:
            self._messages.append(message)
            if message.payload.startswith(b"{"):
                self._decoded.setdefault(message.topic, []).append(json.loads(message.payload))
            self._changed.notify_all()

    def _ready(self) -> None:
        with self._changed:
            self._subscriptions += 1
            self._changed.notify_all()

    def _wait(self, ready: Callable[[], bool], timeout_s: float) -> None:
        with self._changed:
            done = self._changed.wait_for(lambda: ready() or self._error is not None, timeout_s)
        if self._error is not None:
            raise self._error
        assert done, f"the condition was not met within {timeout_s} s; {len(self._messages)} messages so far"

    def wait_subscribed(self, times: int, timeout_s: float = WAIT_S) -> None:
        """Wait until the broker has confirmed the subscription ``times`` times."""
        self._wait(lambda: self._subscriptions >= times, timeout_s)

    def wait(self, ready: Callable[[list[Incoming]], bool], timeout_s: float = WAIT_S) -> list[Incoming]:
        """Wait until ``ready`` is true of the messages so far; return them."""
        self._wait(lambda: ready(self._messages), timeout_s)
        return self.messages

    def wait_payload(self, suffix: str, payload: bytes, timeout_s: float = WAIT_S) -> None:
        """Wait until the newest message of the topic with this suffix has this payload."""

        def newest(messages: list[Incoming]) -> bool:
            of_topic = [message for message in messages if message.topic.endswith(suffix)]
            return bool(of_topic) and of_topic[-1].payload == payload

        self.wait(newest, timeout_s)

    @property
    def subscriptions(self) -> int:
        """How often the broker has confirmed the subscription."""
        return self._subscriptions

    @property
    def messages(self) -> list[Incoming]:
        """All messages so far."""
        with self._changed:
            return list(self._messages)

    def seqs(self, camera: str = "door", kind: str = "face", boot_id: str | None = None) -> list[int]:
        """``seq`` of a camera's events, in the order received."""
        events = self.events(camera, kind)
        return [event["seq"] for event in events if boot_id in (None, event["boot_id"])]

    def events(self, camera: str = "door", kind: str = "face") -> list[dict[str, Any]]:
        """Decoded events of a camera, in the order received."""
        with self._changed:
            return [event for topic, events in self._decoded.items() if topic.endswith(f"/{camera}/{kind}") for event in events]


def in_order_but_for_doubles(seqs: list[int]) -> bool:
    """Whether the first deliveries are in ascending order."""
    first = list(dict.fromkeys(seqs))
    return first == sorted(first)
