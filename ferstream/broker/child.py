"""The process of the embedded broker: ``python -m ferstream.broker.child CONFIG FRONT BACK``.

rumqttd listens for MQTT 5 on port BACK. Port FRONT accepts clients of both versions: it reads their CONNECT, forwards
MQTT 5 as it is and translates 3.1.1. Both listen on the loopback address.

The process ends when the pipe on its stdin closes, which the kernel does however the parent ends.
Signals to the whole process group (Ctrl-C, systemd) are ignored: the broker must still accept the parent's last
events.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable

from ferstream.broker.translate import MalformedPacketError, protocol_level, read_packet, to_v5, to_v311

HOST = "127.0.0.1"
CHUNK_BYTES = 1 << 16
_V311, _V5 = 4, 5
_UNACCEPTABLE_VERSION = b"\x20\x02\x00\x01"

Pump = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Front:
    """Accepts clients and connects each to the broker."""

    def __init__(self, *, back_port: int) -> None:
        self._back_port = back_port

    async def serve(self, port: int) -> None:
        """Listen until the process ends."""
        server = await asyncio.start_server(self._client, HOST, port, limit=CHUNK_BYTES)
        await server.serve_forever()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(MalformedPacketError, asyncio.IncompleteReadError, OSError):
            connect = await read_packet(reader)
            level = protocol_level(connect)
            if level in (_V311, _V5):
                await self._join(reader, writer, connect, level)
            else:
                writer.write(_UNACCEPTABLE_VERSION)
        writer.close()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connect: bytes, level: int) -> None:
        back_reader, back_writer = await asyncio.open_connection(HOST, self._back_port)
        out, back = (_pass, _pass) if level == _V5 else (_pump_to_v5, _pump_to_v311)
        back_writer.write(connect if level == _V5 else to_v5(connect))
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


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def main() -> None:
    """Serve until the parent ends."""
    from iotcore import IotCoreBroker

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="parent-watch", daemon=True).start()
    config, front, back = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    broker = IotCoreBroker(config_path=config)
    threading.Thread(target=broker.run_forever, name="rumqttd", daemon=True).start()
    asyncio.run(Front(back_port=back).serve(front))


if __name__ == "__main__":
    main()
