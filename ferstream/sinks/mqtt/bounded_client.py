"""A paho client that never holds more than ``MAX_INCOMING_BYTES`` of a packet, whatever the broker sends.

A client of MQTT 5 tells the broker its Maximum Packet Size, and the broker does not send larger messages. MQTT 3.1.1 has no
such property, and a broker may ignore it. paho collects a packet of up to 256 MB in memory before it looks at it.
"""

from __future__ import annotations

from typing import Final

from paho.mqtt.client import Client

MAX_INCOMING_BYTES: Final = 1 << 16
"""Largest packet that is read whole; a command is a few bytes, an event about one kilobyte."""


class BoundedClient(Client):
    """Cuts the end off longer packets: a long message arrives with the first 64 kB of its payload, and is acknowledged.

    Not through a WebSocket, which paho reads frame by frame into a buffer of its own.
    """

    def _sock_recv(self, bufsize: int) -> bytes:
        """Receive as paho does, which asks for all that is missing of a packet; called by the thread that drives the client."""
        room = MAX_INCOMING_BYTES - len(self._in_packet["packet"])
        if room > 0:
            return super()._sock_recv(min(bufsize, room))
        discarded = super()._sock_recv(min(bufsize, MAX_INCOMING_BYTES))
        if discarded:
            self._in_packet["to_process"] -= len(discarded) - 1
        return discarded[:1]
