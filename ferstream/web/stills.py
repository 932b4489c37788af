"""``POST /api/1/stills``: the faces of a picture. The picture stays in memory. Runs on the event loop of the HTTP server."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ferstream.errors import WorkerError
from ferstream.web.api_error import ApiError
from ferstream.web.body import BodyLimits, connection_of, read_body
from ferstream.web.content_type import check_content_type
from ferstream.web.recordings import shown_name
from ferstream.web.requests import json_answer
from ferstream.web.still_worker import StillWorker

STILLS = "/api/1/stills"
MAX_STILL_BYTES = 32 << 20
"""Longest file of a picture; cameras and phones make less."""
MAX_WAITING = 4
"""Pictures that are received, wait, or are analysed at a time; each takes up to ``MAX_STILL_BYTES`` of memory."""


def still_routes(worker: StillWorker, *, refusal: Callable[[], str], limits: BodyLimits) -> list[BaseRoute]:
    """Return the route of stills.

    Args:
        worker: Analyses the pictures.
        refusal: Returns why uploads are refused now; empty if they are not.
        limits: Size and speed of an upload.
    """
    waiting = 0

    @contextmanager
    def place() -> Iterator[None]:
        nonlocal waiting
        if waiting >= MAX_WAITING:
            raise ApiError(503, "too many pictures are being analysed; try again in a few seconds", {"retry-after": "3"})
        waiting += 1
        try:
            yield
        finally:
            waiting -= 1

    async def stills(request: Request) -> Response:
        if reason := refusal():
            raise ApiError(403, reason, {"connection": "close"})
        check_content_type(request, "image", "a picture")
        with place(), in_memory() as file:
            await read_body(request, file.write, limits)
            file.flush()
            return await _analysed(request, worker, file)

    return [Route(STILLS, stills, methods=["POST"])]


@contextmanager
def in_memory() -> Iterator[BinaryIO]:
    """Make a file that exists in memory only, and is passed to another process without a copy."""
    with os.fdopen(os.memfd_create("ferstream-still", os.MFD_CLOEXEC), "w+b") as file:
        yield file


async def _analysed(request: Request, worker: StillWorker, file: BinaryIO) -> Response:
    connection = connection_of(request)
    connection.extend(worker.timings.longest_s * MAX_WAITING)
    try:
        answer = await asyncio.wrap_future(worker.analyse(file.fileno(), shown_name(request.query_params.get("name", "picture"))))
    except WorkerError as exc:
        raise ApiError(500, f"the picture could not be analysed: {exc}") from exc
    finally:
        connection.restore()
    if "error" in answer:
        raise ApiError(415 if answer.get("is_input") else 500, answer["error"])
    return json_answer(answer["still"])
