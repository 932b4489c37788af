"""Answers of the HTTP API: JSON, and errors as one clear line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response


class ApiError(HTTPException):
    """An error that a client of ``/api/`` gets as ``{"error": reason}``; the HTTP server makes the answer.

    Args:
        status: HTTP status.
        reason: One line for people: what is wrong, and what to do.
        headers: More headers of the answer.
    """

    def __init__(self, status: int, reason: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, reason, dict(headers or {}))


def json_answer(value: Any, status: int = 200) -> Response:
    """Return a JSON answer."""
    return JSONResponse(value, status)
