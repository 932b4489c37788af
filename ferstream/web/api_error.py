"""Errors of the HTTP API, raised anywhere below a route."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.exceptions import HTTPException


class ApiError(HTTPException):
    """An error that a client of ``/api/`` gets as ``{"error": reason}``; the HTTP server makes the answer.

    Args:
        status: HTTP status.
        reason: One line for people: what is wrong, and what to do.
        headers: More headers of the answer.
    """

    def __init__(self, status: int, reason: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, reason, dict(headers or {}))
