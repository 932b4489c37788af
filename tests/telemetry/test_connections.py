"""Limits on open connections: the oldest connection gives way."""

from __future__ import annotations

from ferstream.telemetry.connections import ConnectionLimits, OpenConnections


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
