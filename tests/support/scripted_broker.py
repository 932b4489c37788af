"""A broker that answers by script, for behaviour that real brokers rarely show."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Self

HOST = "127.0.0.1"
CONNECT, PUBLISH, SUBSCRIBE, PINGREQ, DISCONNECT = 1, 3, 8, 12, 14

Reply = Callable[[int, bytes], bytes | None]


def connack(code: int = 0, properties: bytes = b"") -> bytes:
    """A CONNACK of MQTT 5."""
    body = bytes((0, code, len(properties))) + properties
    return bytes((0x20, len(body))) + body


def puback(packet: bytes, code: int = 0) -> bytes:
    """The PUBACK of a PUBLISH."""
    return b"\x40\x04" + packet_id(packet) + bytes((code, 0))


def disconnect(code: int) -> bytes:
    """A DISCONNECT of MQTT 5."""
    return bytes((0xE0, 1, code))


def packet_id(publish: bytes) -> bytes:
    """Packet id of a PUBLISH with QoS 1."""
    start = 2
    while publish[start - 1] & 0x80:
        start += 1
    topic = int.from_bytes(publish[start : start + 2], "big")
    return publish[start + 2 + topic : start + 4 + topic]


def qos_of(publish: bytes) -> int:
    """QoS of a PUBLISH."""
    return publish[0] >> 1 & 3


class ScriptedBroker:
    """Serves one connection after the other. ``reply(kind, packet)`` returns the bytes to answer; None closes the connection."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._server = socket.create_server((HOST, 0))
        self.url = f"mqtt://{HOST}:{self._server.getsockname()[1]}"
        self._thread = threading.Thread(target=self._run, name="scripted-broker")
        self._connection: socket.socket | None = None
        self._over = False
        self.connections = 0
        self.packets: list[bytes] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        for sock in (self._server, self._connection):
            if sock is not None:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
                sock.close()
        self._thread.join(10)
        assert not self._thread.is_alive()

    def send(self, packet: bytes) -> None:
        """Send a packet to the client that is connected, from any thread."""
        assert self._connection is not None, "no client is connected"
        self._connection.sendall(packet)

    def _run(self) -> None:
        while not self._over:
            try:
                self._connection, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            with self._connection as connection:
                try:
                    self._serve(connection)
                except OSError:
                    continue

    def _serve(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as stream:
            while packet := self._read(stream):
                self.packets.append(packet)
                answer = self._reply(packet[0] >> 4, packet)
                if answer is None:
                    return
                connection.sendall(answer)

    def _read(self, stream: object) -> bytes:
        read = stream.read  # type: ignore[attr-defined]
        head = read(2)
        if len(head) < 2:
            return b""
        while head[-1] & 0x80:
            head += read(1)
        length = sum((byte & 0x7F) << 7 * i for i, byte in enumerate(head[1:]))
        return bytes(head + read(length))


def answering(publish: Callable[[bytes], bytes | None], greeting: bytes = connack()) -> Callable[[int, bytes], bytes | None]:
    """Greets, answers QoS 1 with ``publish`` and says nothing else."""

    def reply(kind: int, packet: bytes) -> bytes | None:
        if kind == CONNECT:
            return greeting
        if kind == PUBLISH and qos_of(packet):
            return publish(packet)
        return b"\xd0\x00" if kind == PINGREQ else b""

    return reply


def is_event(packet: bytes) -> bool:
    return b"/door/face" in packet
