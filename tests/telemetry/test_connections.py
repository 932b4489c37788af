"""Limits on open connections: the oldest connection gives way, and a page can extend the life of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from ferstream.telemetry.connections import ConnectionLimits, LongConnection, OpenConnections


class Connection:
    """Records whether it was aborted."""

    def __init__(self) -> None:
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True


def opened(connections: OpenConnections, peers: str) -> list[Connection]:
    """Open one connection for each letter, which names its peer."""
    made = [Connection() for _ in peers]
    for peer, connection in zip(peers, made, strict=True):
        connections.add(peer, connection)
    return made


def aborted(made: list[Connection]) -> list[int]:
    return [number for number, connection in enumerate(made) if connection.aborted]


def test_one_connection_too_many_closes_the_oldest_of_that_peer() -> None:
    connections = OpenConnections(ConnectionLimits(total=100, per_peer=2))
    made = opened(connections, "baaaa")
    assert aborted(made) == [1, 2]
    assert len(connections) == 3


def test_over_the_total_the_peer_with_most_connections_loses_its_oldest() -> None:
    connections = OpenConnections(ConnectionLimits(total=4, per_peer=3))
    assert aborted(opened(connections, "abbbc")) == [1]
    assert len(connections) == 4


def test_a_closed_connection_makes_room() -> None:
    connections = OpenConnections(ConnectionLimits(total=2, per_peer=2))
    first, second = opened(connections, "aa")
    connections.remove("a", first)
    connections.remove("a", first)
    third, *_ = opened(connections, "a")
    assert aborted([first, second, third]) == []
    connections.remove("a", second)
    connections.remove("a", third)
    assert len(connections) == 0


class Transport(asyncio.Transport):
    """A transport without a socket."""

    def __init__(self) -> None:
        super().__init__()
        self.aborted = asyncio.Event()
        self.high: int | None = None

    def abort(self) -> None:
        self.aborted.set()

    def is_closing(self) -> bool:
        return self.aborted.is_set()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high = high


def in_loop(steps: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run the steps of a test on an event loop, for 20 seconds at most."""
    asyncio.run(asyncio.wait_for(steps(), 20))


def test_a_connection_is_closed_at_the_end_of_its_life() -> None:
    async def steps() -> None:
        transport = Transport()
        LongConnection(transport, "a", OpenConnections(ConnectionLimits()), 0.01)
        await transport.aborted.wait()

    in_loop(steps)


def test_a_life_can_be_extended_and_cut_short() -> None:
    async def steps() -> None:
        transport = Transport()
        connection = LongConnection(transport, "a", OpenConnections(ConnectionLimits()), 0.01)
        connection.extend(3600)
        await asyncio.sleep(0.05)
        assert not transport.aborted.is_set()
        assert transport.high == 0  # a full buffer is reported at once
        connection.extend(0.01)
        await transport.aborted.wait()

    in_loop(steps)


def test_an_extended_connection_is_no_longer_limited_until_it_is_restored() -> None:
    async def steps() -> None:
        connections = OpenConnections(ConnectionLimits(per_peer=1))
        streams = [LongConnection(Transport(), "a", connections, 3600) for _ in range(1)]
        streams[0].extend(3600)
        streams[0].extend(3600)
        assert len(connections) == 0
        plain = Transport()
        ordinary = LongConnection(plain, "a", connections, 3600)
        streams[0].restore()
        streams[0].restore()
        assert plain.aborted.is_set()  # the oldest of two
        assert len(connections) == 1
        for connection in (*streams, ordinary):
            connection.lost()
        assert len(connections) == 0

    in_loop(steps)


def test_a_closed_connection_is_not_restored() -> None:
    async def steps() -> None:
        connections, transport = OpenConnections(ConnectionLimits()), Transport()
        connection = LongConnection(transport, "a", connections, 3600)
        connection.extend(3600)
        transport.abort()
        connection.restore()
        assert len(connections) == 0

    in_loop(steps)
