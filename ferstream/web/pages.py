"""The files of the page: ``/`` and ``/static/...``, read from the package once. Runs on the event loop of the HTTP server.

Only names that were found at the start are answered, so no path leads out of the folder.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

STATIC = Path(__file__).parent / "static"
"""Folder of the files in the package."""
INDEX = "index.html"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    "": "text/plain; charset=utf-8",
}
"""Content type by ending; a file with another ending is not served."""
_METHODS = ("GET", "HEAD")
# Browsers keep the file and ask whether it changed, so that a new version of ferstream never runs with old scripts.
_CACHED = "no-cache"


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file of the page.

    Attributes:
        body: Its bytes.
        content_type: Value of the header ``Content-Type``.
        etag: Value of the header ``ETag``: a digest of the bytes, in quotes.
    """

    body: bytes
    content_type: str
    etag: str


def static_routes(folder: Path = STATIC) -> list[BaseRoute]:
    """Return the routes of the page.

    Args:
        folder: Where the files are.
    """
    files = load_files(folder)

    async def index(request: Request) -> Response:
        return _answer(request, files[INDEX])

    async def static(request: Request) -> Response:
        file = files.get(request.path_params["path"])
        return PlainTextResponse("no such file\n", 404) if file is None else _answer(request, file)

    return [Route("/", index, methods=_METHODS), Route("/static/{path:path}", static, methods=_METHODS)]


def load_files(folder: Path = STATIC) -> dict[str, StaticFile]:
    """Read all files of the page.

    Args:
        folder: Where the files are.

    Returns:
        The files by their path in the folder, such as ``js/main.js``.
    """
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return {name: _load(folder / name) for name in names if PurePosixPath(name).suffix in _TYPES}


def _load(path: Path) -> StaticFile:
    body = path.read_bytes()
    return StaticFile(body, _TYPES[path.suffix], f'"{hashlib.sha256(body).hexdigest()[:32]}"')


def _answer(request: Request, file: StaticFile) -> Response:
    # An answer without a body has the content type too: browsers replace the headers they keep, and the policy of a page depends on it.
    headers = {"etag": file.etag, "cache-control": _CACHED, "content-type": file.content_type}
    if file.etag in _etags(request.headers.get("if-none-match")):
        return Response(status_code=304, headers=headers)
    return Response(file.body, headers=headers)


def _etags(header: str | None) -> set[str]:
    """Return the tags of ``If-None-Match``; a proxy that compresses marks them as weak, which does not matter here."""
    return {tag.strip().removeprefix("W/") for tag in (header or "").split(",")}
