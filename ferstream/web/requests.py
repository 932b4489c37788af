"""What the pages of the API share: answers in JSON, and the refusal of requests that other web pages make."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from ferstream.events.encode import Json, to_json

_OWN_SITE = ("same-origin", "none")
"""Values of ``Sec-Fetch-Site`` of the page itself, and of an address that a person typed."""


def json_answer(body: Json, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return an answer in JSON."""
    return Response(to_json(body), status, headers, media_type="application/json")


def error_answer(text: str, status: int, headers: dict[str, str] | None = None) -> Response:
    """Return an error: one line that says what is wrong."""
    return json_answer({"error": text}, status, headers)


def is_foreign(request: Request) -> bool:
    """Whether the request comes from a web page of another address, which every browser says; other programs say nothing."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site not in _OWN_SITE
    origin = request.headers.get("origin")
    return origin is not None and origin.partition("://")[2] != request.headers.get("host")
