"""A paho client that bounds what it receives, records how a connection ends, and accepts unusual reason codes.

It never holds more than ``MAX_INCOMING_BYTES`` of a packet, whatever the broker sends. A client of MQTT 5 tells the broker
its Maximum Packet Size, and the broker does not send larger messages. MQTT 3.1.1 has no such property, and a broker may
ignore it. paho collects a packet of up to 256 MB in memory before it looks at it.
"""

from __future__ import annotations

import socket
import ssl
from typing import Any, Final

from paho.mqtt.client import Client
from paho.mqtt.enums import MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes

from ferstream.sinks.mqtt.wire import RecordingSocket, Stage, recording, recording_tls

MAX_INCOMING_BYTES: Final = 1 << 16
"""Largest packet that is read whole; a command is a few bytes, an event about one kilobyte."""

_PUBACK_CODES: Final = frozenset({0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99})
"""Reason codes of PUBACK that paho knows; it takes any other for a malformed packet and ends the connection."""
_PUBACK_CODE_AT: Final = 2
_UNSPECIFIED: Final = 0x80
_CODE_AT: Final = {PacketTypes.CONNACK: 1, PacketTypes.DISCONNECT: 0}
"""Where the reason code is in the body of a packet."""


class BoundedClient(Client):
    """Cuts the end off longer packets: a long message arrives with the first 64 kB of its payload, and is acknowledged.

    Not through a WebSocket, which paho reads frame by frame into a buffer of its own.

    Attributes:
        wire: The socket; None before there is a TCP connection.
        stage: How far the connection came.
        codes: Reason code of the CONNACK and of the DISCONNECT that came, by kind of packet; also one that paho does not know.
    """

    wire: RecordingSocket | None = None
    stage = Stage.NETWORK

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.codes: dict[int, int] = {}
        self._unusual: dict[int, int] = {}

    def puback_code(self, mid: int, code: int) -> int:
        """Return the reason code that the broker sent for a message; ``code`` is the one that paho reported."""
        return self._unusual.pop(mid, code)

    def _create_socket(self) -> Any:
        """Connect as paho does, and close the socket if the TLS or WebSocket handshake fails."""
        try:
            sock = super()._create_socket()
        except BaseException:
            if self.wire is not None:
                self.wire.close()
            raise
        self.stage = Stage.MQTT
        return sock

    def _create_socket_connection(self) -> socket.socket:
        self.wire = recording(super()._create_socket_connection())
        self.stage = Stage.TLS if self._ssl else Stage.WEBSOCKET
        return self.wire

    def _ssl_wrap_socket(self, tcp_sock: socket.socket) -> ssl.SSLSocket:
        assert self._ssl_context is not None
        self.wire = wire = recording_tls(tcp_sock, self._ssl_context, self._host, self._connect_timeout)
        wire.do_handshake()
        self.stage = Stage.WEBSOCKET
        return wire

    def _sock_recv(self, bufsize: int) -> bytes:
        """Receive as paho does, which asks for all that is missing of a packet; called by the thread that drives the client."""
        room = MAX_INCOMING_BYTES - len(self._in_packet["packet"])
        if room > 0:
            return super()._sock_recv(min(bufsize, room))
        discarded = super()._sock_recv(min(bufsize, MAX_INCOMING_BYTES))
        if discarded:
            self._in_packet["to_process"] -= len(discarded) - 1
        return discarded[:1]

    def _packet_handle(self) -> MQTTErrorCode:
        """Handle a packet as paho does, after a look at its reason code.

        Mosquitto answers a message above its ``message_size_limit`` with a PUBACK "packet too large", which the standard does
        not list for PUBACK.
        """
        packet, kind = self._in_packet["packet"], self._in_packet["command"] >> 4
        if kind == PacketTypes.CONNACK:
            self.stage = Stage.ANSWERED
        place = _CODE_AT.get(kind)
        if place is not None and len(packet) > place:
            self.codes[kind] = packet[place]
        if kind == PacketTypes.PUBACK and len(packet) > _PUBACK_CODE_AT and self._protocol == MQTTProtocolVersion.MQTTv5:
            self._accept_unusual(packet)
        return super()._packet_handle()

    def _accept_unusual(self, puback: bytearray) -> None:
        """Note a reason code that paho does not know, and replace it by "unspecified"."""
        code = puback[_PUBACK_CODE_AT]
        if code not in _PUBACK_CODES:
            self._unusual[int.from_bytes(puback[:_PUBACK_CODE_AT], "big")] = code
            puback[_PUBACK_CODE_AT] = _UNSPECIFIED
