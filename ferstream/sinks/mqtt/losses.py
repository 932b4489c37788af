"""What the ends of one connection after the other tell: a client id in use twice, a topic that is not allowed.

A broker of MQTT 3.1.1 cannot say why it ends a connection, and some of MQTT 5 do not. The MQTT thread only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ferstream.errors import BrokerError
from ferstream.sinks.mqtt import reason_codes

SOON_LOST: Final = 3
"""So many connections lost soon, each after a reconnection that worked at once, look like a client id that is in use twice."""
SAME_MESSAGE: Final = 2
"""So many connections that ended after the same message look like a message that the broker does not accept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedConnection:
    """How one connection ended that the broker had accepted.

    Attributes:
        lasted_s: How long it stood, in seconds.
        code: Reason code of the broker; None if it gave none.
        after: The message that the end may be an answer to: ``a message to TOPIC``; None if there is none.
    """

    lasted_s: float
    code: int | None
    after: str | None


class LossHistory:
    """Counts the ends of connections that follow each other."""

    def __init__(self, *, broker: str, client_id: str, calm_after_s: float) -> None:
        """Start without connections.

        Args:
            broker: Address of the broker for messages.
            client_id: The client id of this client.
            calm_after_s: A connection that stood for so many seconds is not counted.
        """
        self._broker, self._client_id, self._calm_after_s = broker, client_id, calm_after_s
        self._soon = self._same = 0
        self._after: str | None = None
        self._contested = False

    @property
    def contested(self) -> bool:
        """Whether another client seems to use the client id: the pause between two connections must grow."""
        return self._contested

    @property
    def suspicious(self) -> bool:
        """Whether the last connection ended without a reason after a message that may be the reason."""
        return self._after is not None

    def connect_failed(self) -> None:
        """Note that no connection came about: the broker was away, so the losses before say nothing about another client."""
        self._soon = 0
        self._after = None
        self._contested = False

    def ended(self, end: EndedConnection) -> BrokerError | None:
        """Note the end of a connection; return what this end and those before it tell, None if nothing."""
        self._contested = False
        soon = end.lasted_s < self._calm_after_s
        if end.code is not None:
            self._soon, self._after = 0, None
            self._contested = soon and end.code == reason_codes.SESSION_TAKEN_OVER
            return self._taken_over() if end.code == reason_codes.SESSION_TAKEN_OVER else None
        self._same = self._same + 1 if end.after is not None and end.after == self._after else 1
        self._after = end.after
        self._soon = self._soon + 1 if soon else 0
        if self._after is not None and self._same >= SAME_MESSAGE:
            return self._after_a_message(self._after)
        self._contested = self._soon >= SOON_LOST
        return self._lost_soon() if self._contested else None

    def _taken_over(self) -> BrokerError:
        return BrokerError(f'{self._broker}: another client took over the client id "{self._client_id}"', advice=_OWN_NODE)

    def _lost_soon(self) -> BrokerError:
        detail = f"{self._broker}: the connection was lost {self._soon} times soon after it was made, and the broker gives no reason"
        return BrokerError(detail, advice=f'probably another client uses the client id "{self._client_id}": {_OWN_NODE}')

    def _after_a_message(self, message: str) -> BrokerError:
        detail = f"{self._broker} closed the connection {self._same} times after {message}, without a reason"
        return BrokerError(detail, advice="check the rights of this user on that topic, and the broker's limit on the size of messages")


_OWN_NODE: Final = "two ferstreams with one node name? give each its own node, or mqtt.client_id"
