"""The messages of ``/api/1/events``, encoded once for all viewers as server-sent events."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass

from ferstream.domain.event import CameraState, LabelledFrame, Summary, TrackEvent
from ferstream.domain.track import TrackState
from ferstream.events.encode import Json, face_fields, iso_utc, state_fields, summary_fields, to_json, track_fields

HELLO = "hello"
FRAME = "frame"
CAMERA = "camera"
SUMMARY = "summary"
KINDS = (HELLO, FRAME, CAMERA, SUMMARY)
"""Kinds of messages: the ``event`` of server-sent events."""
KEEP_ALIVE = b": still here\n\n"
"""A comment, which browsers ignore: shows both sides that the connection lives."""
RETRY = b"retry: 2000\n\n"
"""Tells a browser to connect again two seconds after a connection broke."""


@dataclass(frozen=True, slots=True)
class LiveMessage:
    """One encoded message.

    Attributes:
        kind: One of ``KINDS``.
        camera: Name of the camera; empty for a message about all of them.
        data: The bytes for the viewers.
    """

    kind: str
    camera: str
    data: bytes

    @property
    def key(self) -> tuple[str, str]:
        """What a newer message replaces: the one of the same kind and camera."""
        return self.kind, self.camera


def hello_message(*, node: str, version: str, pixels: bool, aggregate_only: bool, cameras: Iterable[str]) -> LiveMessage:
    """Return the first message of a stream, sent again when cameras are added or removed.

    Args:
        node: Name of the node.
        version: Version of ferstream.
        pixels: Whether frames come with pictures.
        aggregate_only: Whether nothing about single faces is sent, so that no frames come.
        cameras: Names of the cameras.
    """
    body: Json = {"node": node, "version": version, "pixels": pixels, "aggregate_only": aggregate_only, "cameras": list(cameras)}
    return LiveMessage(HELLO, "", _event(HELLO, to_json(body).encode()))


def frame_message(frame: LabelledFrame, changes: Iterable[TrackEvent], jpeg: bytes | None) -> LiveMessage:
    """Return the faces of one frame, with its picture if there is one.

    Args:
        frame: The frame. Faces of tracks that ended at it are left out; their ends are among the changes.
        changes: Track events since the last frame that was sent.
        jpeg: The masked picture of the same frame.

    Raises:
        ValueError: A number is not finite.
    """
    info = frame.info
    body: Json = {
        "camera": info.camera,
        "index": info.index,
        "captured_at": iso_utc(info.captured_at_ns),
        "media_time_ms": round(info.media_time_ns / 1e6, 1),
        "width": info.width,
        "height": info.height,
        "faces": [face_fields(face) for face in frame.faces if face.track.state is not TrackState.LEFT],
        "changes": [track_fields(change) for change in changes],
    }
    text = to_json(body).encode()
    if jpeg is not None:
        # Added behind the JSON encoder, which would look at every character of it.
        text = b'%b,"picture":"data:image/jpeg;base64,%b"}' % (text[:-1], base64.b64encode(jpeg))
    return LiveMessage(FRAME, info.camera, _event(FRAME, text))


def camera_message(state: CameraState) -> LiveMessage:
    """Return the state of a camera."""
    return LiveMessage(CAMERA, state.camera, _event(CAMERA, to_json({"camera": state.camera} | state_fields(state)).encode()))


def summary_message(summary: Summary) -> LiveMessage:
    """Return the counts of a camera over an interval."""
    return LiveMessage(SUMMARY, summary.camera, _event(SUMMARY, to_json({"camera": summary.camera} | summary_fields(summary)).encode()))


def _event(kind: str, text: bytes) -> bytes:
    """Return a server-sent event; JSON has no line breaks."""
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), text)
