"""The port of the embedded broker that clients use: checks the password and connects each client to rumqttd.

Asyncio in the broker's child process. Clients of MQTT 5 are forwarded as they are, those of MQTT 3.1.1 are translated.
rumqttd listens on a second port, the back port, with a password that only this process knows: the front replaces
the login of each client by that one.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable

from ferstream.broker.login import Login, login_of, with_login
from ferstream.broker.translate import MalformedPacketError, protocol_level, read_packet, to_v5, to_v311

HOST = "127.0.0.1"
CHUNK_BYTES = 1 << 16
CONNECT_TIMEOUT_S = 10.0
"""Seconds that a client has to send its CONNECT."""
MAX_CONNECT_BYTES = 1 << 17
"""Largest CONNECT: more than a Last Will of 64 kB needs."""
_V311, _V5 = 4, 5
_UNACCEPTABLE_VERSION = b"\x20\x02\x00\x01"
_WRONG_PASSWORD = {_V311: b"\x20\x02\x00\x04", _V5: b"\x20\x03\x00\x86\x00"}
_NO_PASSWORD = {_V311: b"\x20\x02\x00\x05", _V5: b"\x20\x03\x00\x87\x00"}

Pump = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Front:
    """Accepts clients that know the password and connects each to the broker."""

    def __init__(self, *, login: Login, back_port: int, back_login: Login) -> None:
        """Prepare; ``serve`` listens.

        Args:
            login: User name and password that clients must have.
            back_port: Port of rumqttd.
            back_login: User name and password that rumqttd wants.
        """
        self._login, self._back_port, self._back_login = login, back_port, back_login

    async def serve(self, listener: socket.socket) -> None:
        """Accept clients of a bound socket until the process ends."""
        server = await asyncio.start_server(self._client, sock=listener, limit=CHUNK_BYTES)
        await server.serve_forever()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(MalformedPacketError, asyncio.IncompleteReadError, OSError):
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                connect = await read_packet(reader, max_bytes=MAX_CONNECT_BYTES)
            await self._greet(reader, writer, connect)
        writer.close()

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connect: bytes) -> None:
        level = protocol_level(connect)
        if level not in (_V311, _V5):
            writer.write(_UNACCEPTABLE_VERSION)
            return
        if level == _V311:
            connect = to_v5(connect)
        given = login_of(connect)
        if given is None:
            writer.write(_NO_PASSWORD[level])
        elif not self._login.matches(*given):
            writer.write(_WRONG_PASSWORD[level])
        else:
            await self._join(reader, writer, with_login(connect, self._back_login), level)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connect: bytes, level: int) -> None:
        back_reader, back_writer = await asyncio.open_connection(HOST, self._back_port)
        out, back = (_pass, _pass) if level == _V5 else (_pump_to_v5, _pump_to_v311)
        back_writer.write(connect)
        pumps = [asyncio.ensure_future(out(reader, back_writer)), asyncio.ensure_future(back(back_reader, writer))]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            back_writer.close()
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK_BYTES):
        writer.write(data)
        await writer.drain()


async def _pump_to_v5(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(to_v5(await read_packet(reader)))
        await writer.drain()


async def _pump_to_v311(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while (packet := to_v311(await read_packet(reader))) is not None:
        writer.write(packet)
        await writer.drain()
