"""Which ``Content-Type`` an upload may have."""

from __future__ import annotations

from starlette.requests import Request

from ferstream.web.api_error import ApiError

_FORM = "application/x-www-form-urlencoded"
"""Of forms, and what curl says when it is told nothing."""


def check_content_type(request: Request, kind: str, what: str) -> None:
    """Check that the body is the file itself; whether it can be decoded is found out later.

    Args:
        request: The request. One without a ``Content-Type`` passes: browsers send none for files they do not know.
        kind: First part of the right type: ``image`` or ``video``.
        what: What is wanted, for the message.

    Raises:
        ApiError: It is a form, a text or something else that is not a file of that kind (415).
    """
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not given or given.startswith(f"{kind}/") or (given.startswith("application/") and given != _FORM):
        return
    raise ApiError(
        415, f"send the bytes of {what} as the body, with Content-Type {kind}/... or application/octet-stream", {"connection": "close"}
    )
