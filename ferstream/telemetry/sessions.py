"""Sessions of people who logged in with the token. They exist in memory only: a restart ends them all.

Only the event loop of the telemetry server calls this module.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict

from ferstream.runtime.clock import Clock, SystemClock

LIFETIME_S = 12 * 3600
"""A session ends so many seconds after its login."""
MAX_SESSIONS = 64
"""One more login ends the oldest session."""
_ID_BYTES = 32


class Sessions:
    """The open sessions.

    The ids themselves are not kept, only their SHA-256: looking one up by its hash takes no time that depends on how
    much of a guessed id is right.

    Args:
        cookie: Name of the cookie.
        lifetime_s: A session ends so many seconds after its login.
        limit: Most sessions; one more ends the oldest.
        clock: Monotonic time.
    """

    def __init__(self, *, cookie: str, lifetime_s: float = LIFETIME_S, limit: int = MAX_SESSIONS, clock: Clock | None = None) -> None:
        self.cookie = cookie
        self._lifetime_s, self._limit, self._clock = lifetime_s, limit, clock or SystemClock()
        self._ends: OrderedDict[bytes, int] = OrderedDict()

    def __len__(self) -> int:
        """Number of open sessions, those that have expired since the last login included."""
        return len(self._ends)

    def open(self) -> str:
        """Begin a session; return its id, which only the browser that logged in gets."""
        now = self._clock.monotonic_ns()
        for digest in [digest for digest, end in self._ends.items() if end <= now]:
            del self._ends[digest]
        while len(self._ends) >= self._limit:
            self._ends.popitem(last=False)
        session = secrets.token_urlsafe(_ID_BYTES)
        self._ends[_digest(session)] = now + int(self._lifetime_s * 1e9)
        return session

    def is_open(self, cookies: str | None) -> bool:
        """Return whether a ``Cookie`` header carries the id of an open session."""
        end = self._ends.get(_digest(self._id_in(cookies)))
        return end is not None and end > self._clock.monotonic_ns()

    def close(self, cookies: str | None) -> None:
        """End the session of a ``Cookie`` header, if it has one."""
        self._ends.pop(_digest(self._id_in(cookies)), None)

    def set_cookie(self, session: str, *, secure: bool) -> str:
        """Return the ``Set-Cookie`` header that gives a browser its session.

        Args:
            session: The id.
            secure: Whether the browser uses TLS, and must not send the cookie without.
        """
        return f"{self.cookie}={session}; Max-Age={int(self._lifetime_s)}{self._attributes(secure)}"

    def clear_cookie(self, *, secure: bool) -> str:
        """Return the ``Set-Cookie`` header that removes the session from a browser."""
        return f"{self.cookie}=; Max-Age=0{self._attributes(secure)}"

    def _attributes(self, secure: bool) -> str:
        return f"; Path=/; HttpOnly; SameSite=Strict{'; Secure' if secure else ''}"

    def _id_in(self, cookies: str | None) -> str:
        """Return the value of the session's cookie; empty without one. Other cookies of this host may have any form."""
        for part in (cookies or "").split(";"):
            name, _, value = part.partition("=")
            if name.strip() == self.cookie:
                return value.strip()
        return ""


def _digest(session: str) -> bytes:
    return hashlib.sha256(session.encode("utf-8", "surrogateescape")).digest()
