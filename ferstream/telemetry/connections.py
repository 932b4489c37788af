"""Limits of a connection that uvicorn has no option for: how long one may live, how many a peer may hold.

A client that sends its request a byte a minute is never finished and never idle; without these
limits a few dozen of them would shut everybody else out of the page. Server's event loop only.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import cast

from uvicorn.protocols.http.h11_impl import H11Protocol


def limited_protocol(*, lifetime_s: float, per_peer: int) -> type[H11Protocol]:
    """A protocol class for one server; connections beyond the limits are cut without an answer."""
    held: Counter[str] = Counter()

    class LimitedProtocol(H11Protocol):
        _peer: str = ""
        _end_of_life: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            wire = cast("asyncio.Transport", transport)
            super().connection_made(wire)
            self._peer = str((wire.get_extra_info("peername") or ("",))[0])
            held[self._peer] += 1
            self._end_of_life = self.loop.call_later(lifetime_s, wire.abort)
            if held[self._peer] > per_peer:
                wire.abort()

        def connection_lost(self, exc: Exception | None) -> None:
            if self._end_of_life is not None:
                self._end_of_life.cancel()
                held[self._peer] -= 1
                if not held[self._peer]:
                    del held[self._peer]
            super().connection_lost(exc)

    return LimitedProtocol
