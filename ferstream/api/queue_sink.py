"""A sink whose events a Python program takes; ``write`` is called by the publishing thread, ``events`` is read by the program."""

from __future__ import annotations

from contextlib import suppress

from ferstream.domain.message import Message
from ferstream.domain.ports import SinkStatus
from ferstream.errors import ClosedError
from ferstream.runtime.channel import Channel


class QueueSink:
    """Puts the wanted messages into a channel."""

    name = "python"

    def __init__(self, *, events: Channel[Message], schemas: frozenset[str]) -> None:
        """Keep the parts; the owner of the channel closes it.

        Args:
            events: Takes the messages. A full one makes the publishing thread wait, or drops its oldest message, as its overflow
                policy says.
            schemas: The wanted kinds of messages.
        """
        self._events, self._schemas = events, schemas

    def open(self) -> None:
        """Do nothing: there is nothing to open."""

    def write(self, message: Message) -> None:
        """Put a message of a wanted kind into the channel; after the program has ended the iteration, nothing."""
        if message.schema in self._schemas:
            with suppress(ClosedError):
                self._events.put(message)

    def flush(self, timeout_s: float) -> int:
        """Return 0: what waits in the channel is the program's."""
        return 0

    def close(self) -> None:
        """Do nothing: the owner closes the channel."""

    def status(self) -> SinkStatus:
        """Return that the sink is ready: it has no connection."""
        return SinkStatus(self.name)
