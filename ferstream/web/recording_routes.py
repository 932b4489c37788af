"""``/api/1/recordings``: upload a recording, see how far its analysis is, get its results, delete it.

Runs on the event loop of the HTTP server. What waits for the disk or for a process runs in threads.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from ferstream.errors import OutputError
from ferstream.web.api_error import ApiError
from ferstream.web.body import BodyLimits, connection_of, timely_pieces
from ferstream.web.content_type import check_content_type
from ferstream.web.recording import EVENTS, TABLE_FILES, TIMELINE, Recording, RecordingStatus
from ferstream.web.recordings import Recordings
from ferstream.web.requests import json_answer

RECORDINGS = "/api/1/recordings"
_BLOCK_BYTES = 1 << 20
"""So much is written or read at a time."""
_CHECK_SPACE_EVERY = 16
"""Blocks between two looks at the free space."""
_STALLED_S = 60.0
"""A download whose reader takes nothing for so long is ended."""
_CLOSE = {"connection": "close"}
_TYPES = {
    EVENTS: "application/x-ndjson",
    TIMELINE: "application/json",
    TABLE_FILES["csv"]: "text/csv; charset=utf-8",
    TABLE_FILES["parquet"]: "application/vnd.apache.parquet",
}


def recording_routes(recordings: Recordings, *, refusal: Callable[[], str], limits: BodyLimits) -> list[BaseRoute]:
    """Return the routes of recordings.

    Args:
        recordings: Keeps and analyses them.
        refusal: Returns why uploads and their results are refused now; empty if they are not.
        limits: Size and speed of an upload.
    """

    def allowed() -> None:
        if reason := refusal():
            raise ApiError(403, reason, {"connection": "close"})

    async def show_all(_: Request) -> Response:
        allowed()
        return json_answer({"recordings": [recording.as_json() for recording in recordings.all()]})

    async def upload(request: Request) -> Response:
        allowed()
        check_content_type(request, "video", "a recording")
        recording = await _received(request, recordings, limits)
        recordings.analyse(recording)
        return json_answer(recording.as_json(), 201)

    async def show(request: Request) -> Response:
        allowed()
        return json_answer(recordings.find(request.path_params["id"]).as_json())

    async def delete(request: Request) -> Response:
        recording = recordings.find(request.path_params["id"])
        await asyncio.to_thread(recordings.delete, recording)
        return Response(status_code=204)

    async def result(request: Request) -> Response:
        allowed()
        return _download(request, recordings.find(request.path_params["id"]))

    one = RECORDINGS + "/{id}"
    return [
        Route(RECORDINGS, show_all, methods=["GET"]),
        Route(RECORDINGS, upload, methods=["POST"]),
        Route(one, show, methods=["GET"]),
        Route(one, delete, methods=["DELETE"]),
        *(Route(f"{one}/{path}", result, methods=["GET"]) for path in ("timeline", EVENTS, *TABLE_FILES.values())),
    ]


async def _received(request: Request, recordings: Recordings, limits: BodyLimits) -> Recording:
    """Write an upload into its file. Whatever goes wrong, nothing of it stays."""
    name, length = request.query_params.get("name", ""), request.headers.get("content-length", "0")
    recording = await asyncio.to_thread(recordings.begin, name, int(length) if length.isdecimal() else 0)
    try:
        if not await _write(request, recordings, recording, limits):
            raise ApiError(415, "the recording is empty; send its bytes as the body")
    except BaseException as exc:
        await asyncio.to_thread(recordings.abandon, recording)
        if isinstance(exc, OutputError):
            raise ApiError(507, str(exc), _CLOSE) from exc
        if isinstance(exc, ClientDisconnect):
            raise ApiError(400, "the upload was cut off", _CLOSE) from exc
        raise
    finally:
        connection_of(request).restore()
    return recording


async def _write(request: Request, recordings: Recordings, recording: Recording, limits: BodyLimits) -> int:
    """Write the pieces of an upload in blocks; return the number of bytes."""
    block, count, blocks = bytearray(), 0, 0
    async for piece in timely_pieces(request, limits):
        count += len(piece)
        if count > limits.max_bytes:
            raise ApiError(413, f"the recording is too large; at most {limits.max_bytes:,} bytes are accepted", _CLOSE)
        block += piece
        if len(block) >= _BLOCK_BYTES:
            await asyncio.to_thread(recording.write, bytes(block))
            block.clear()
            blocks += 1
            if blocks % _CHECK_SPACE_EVERY == 0:
                await asyncio.to_thread(recordings.check_space)
    await asyncio.to_thread(recording.write, bytes(block))
    return count


def _download(request: Request, recording: Recording) -> Response:
    file = request.url.path.rpartition("/")[2]
    file = TIMELINE if file == "timeline" else file
    size = recording.result_bytes(file)
    if size is None:
        raise _no_result(recording, file)
    headers = {"content-length": str(size)}
    if file != TIMELINE:
        stem = re.sub(r"[^A-Za-z0-9._-]+", "-", recording.name.rpartition(".")[0] or recording.name).strip("-.") or "recording"
        headers["content-disposition"] = f'attachment; filename="{stem}.{file}"'
    if request.method == "HEAD":
        return Response(media_type=_TYPES[file], headers=headers)
    return StreamingResponse(_blocks(request, recording, file), media_type=_TYPES[file], headers=headers)


def _no_result(recording: Recording, file: str) -> ApiError:
    state = recording.as_json()["state"]
    if state == RecordingStatus.DONE.value:
        return ApiError(404, f"{file} is not made by this node; its state lists the tables that are")
    return ApiError(409, f"the recording is {state}; its results come when it is done")


async def _blocks(request: Request, recording: Recording, file: str) -> AsyncIterator[bytes]:
    descriptor = recording.open_result(file)
    if descriptor is None:
        return  # deleted meanwhile: the connection is closed before the promised length
    connection, offset = connection_of(request), 0
    try:
        while block := await asyncio.to_thread(os.pread, descriptor, _BLOCK_BYTES, offset):
            offset += len(block)
            connection.extend(_STALLED_S)
            yield block
    finally:
        os.close(descriptor)
        connection.restore()
