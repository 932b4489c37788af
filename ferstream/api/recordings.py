"""``ferstream.replay``: the events of recordings, one after the other. A ``Replay`` is for one thread."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Self, TypedDict, TypeVar, Unpack, cast, overload

if TYPE_CHECKING:
    from datetime import datetime

    from ferstream.api.events import Event, FaceEvent
    from ferstream.api.replay_session import ReplaySession
    from ferstream.api.values import EventKind, Masks

Video = str | os.PathLike[str]
E = TypeVar("E")


class Replay(Generic[E], Iterator[E]):
    """An iterator of the events of recordings. It starts with the first event that is asked for.

    The recordings are analysed by threads of their own, at most 256 events ahead. They end with the last event, with ``close``, at
    the end of a ``with`` block, and soon after the iterator was dropped (``break`` out of ``for event in ferstream.replay(...)``).
    """

    def __init__(self, session: ReplaySession, *, ignore_lost: bool) -> None:
        """Keep the session; ``ferstream.replay`` makes it.

        Args:
            session: Threads and events.
            ignore_lost: Whether lost frames are no error.
        """
        self._session, self._ignore_lost = session, ignore_lost
        self._started = self._done = False
        weakref.finalize(self, session.ask_to_end).atexit = False

    def __next__(self) -> E:
        if self._done:
            raise StopIteration
        if not self._started:
            self._started = True
            self._session.start()
        try:
            message = self._session.next()
        except BaseException:
            self.close()
            raise
        if message is not None:
            from ferstream.api.events import event_of

            return cast("E", event_of(message.schema, message.payload.decode()))
        self._done = True
        if self.lost and not self._ignore_lost:
            from ferstream.errors import FramesLostError

            raise FramesLostError(f"{self.lost} frames were damaged or lost; their events are missing (ignore_lost=True accepts that)")
        raise StopIteration

    def __iter__(self) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the threads and the iteration, and wait for them; more than one call is allowed."""
        self._done = True
        self._session.close()

    @property
    def progress(self) -> tuple[int, int | None]:
        """Analysed frames of the present recording, and the number of its frames; None if that is not known."""
        return self._session.progress

    @property
    def waiting(self) -> int:
        """Events that wait for the program."""
        return len(self._session.events)

    @property
    def lost(self) -> int:
        """Frames that were damaged or lost, of the recordings that were replayed to their end."""
        return self._session.lost

    @property
    def frames(self) -> int:
        """Frames analysed, of the recordings that were replayed to their end."""
        return sum(outcome.frames for outcome in self._session.outcomes)


class ReplayOptions(TypedDict, total=False):
    """The options of ``replay``, which describes them."""

    fps: float
    speed: float
    max_hz: float
    start: datetime | str | None
    model: str | None
    masks: Masks
    config: str | os.PathLike[str] | None
    camera: str | None
    settings: Mapping[str, object] | None
    ignore_lost: bool


@overload
def replay(video: Video | Sequence[Video], **options: Unpack[ReplayOptions]) -> Replay[FaceEvent]: ...
@overload
def replay(video: Video | Sequence[Video], *, kinds: Sequence[EventKind], **options: Unpack[ReplayOptions]) -> Replay[Event]: ...
def replay(  # noqa: PLR0913 (the options of `ferstream replay`)
    video: Video | Sequence[Video],
    *,
    kinds: Sequence[EventKind] = ("face",),
    fps: float = 0.0,
    speed: float = 0.0,
    max_hz: float = 0.0,
    start: datetime | str | None = None,
    model: str | None = None,
    masks: Masks = (),
    config: str | os.PathLike[str] | None = None,
    camera: str | None = None,
    settings: Mapping[str, object] | None = None,
    ignore_lost: bool = False,
) -> Replay[FaceEvent] | Replay[Event]:
    """Analyse recordings with the pipeline of the daemon, and yield the events: what ``ferstream replay`` does.

    Every frame is analysed, and the same recording gives the same events, byte for byte those of ``ferstream replay --events``.
    The analysis runs in threads of its own; a program that takes events slowly slows it down, and loses nothing. The networks are
    kept for the next call.

    Args:
        video: Path of a recording, or a list of paths, which are replayed one after the other; ``"-"`` is the standard input.
        kinds: Kinds of events: ``"face"`` (a face in a frame) and ``"track"`` (a face appeared, changed its label or left). Those of a
            kind come in order. ``"state"`` are the states of the recording as a camera; there are no summaries.
        fps: Frames to analyse per second of media time; 0 = every frame.
        speed: Multiple of the media speed; 0 = as fast as possible.
        max_hz: Most face events per second of a face; 0 = every analysed frame.
        start: When the recording began: a ``datetime`` with its zone, or ISO 8601 text such as ``2026-11-21T20:31:35+01:00``.
            None: the time in the file, else 1970-01-01. Only for one recording.
        model: ``auto``, or name, name/version or folder of a model bundle. None: that of ``config``, else ``auto``.
        masks: Polygons that are filled with grey before a frame is analysed. Each has at least three corners (x, y), relative to
            the width and height of the picture, 0..1. They are added to those of ``config``.
        config: A settings file of ferstream, read with the ``FERSTREAM_`` variables. The masks and the orientation of ``camera``
            apply, and with ``privacy.aggregate_only`` the call is refused. None, the default: neither files nor variables change
            the events.
        camera: Name of the camera in ``config`` that made the recordings; None takes the only camera.
        settings: Further settings by dotted key, such as ``{"tracking.lifespan_s": 3.0}``.
        ignore_lost: True accepts frames that are damaged or lost; ``Replay.lost`` counts them.

    Returns:
        An iterator of events: ``FaceEvent``, and ``TrackEvent`` or ``StateEvent`` where ``kinds`` asks for them. ``event.to_dict()`` and
        ``event.to_json()`` are the JSON. Leaving the loop early ends the threads; ``with ferstream.replay(...) as events:`` also
        waits for it.

    Raises:
        ferstream.errors.SourceError: A recording cannot be read: from the call itself, or from the iteration if that shows later.
        ferstream.errors.FramesLostError: From the iteration, after the last event: frames were damaged or lost.
        ferstream.errors.ModelError: The model cannot be used; from the first step of the iteration.
        ferstream.errors.ConfigError: An argument or ``config`` is wrong, or its privacy settings do not allow events of single faces.

    Example:
        >>> for event in ferstream.replay("clip.mp4"):  # doctest: +SKIP
        ...     print(event.frame.media_time_s, event.track.id, event.emotion.smoothed.label)
    """
    from ferstream.api.pipeline_options import recording_job
    from ferstream.api.replay_session import ReplaySession

    job = recording_job(
        _paths(video),
        rates=(fps, speed, max_hz),
        kinds=kinds,
        start=start,
        masks=masks,
        made_by=(config, camera),
        model=model,
        more=settings,
    )
    return Replay(ReplaySession(job), ignore_lost=ignore_lost)


def _paths(video: Video | Sequence[Video]) -> list[Path]:
    return [Path(video)] if isinstance(video, str | os.PathLike) else [Path(one) for one in video]
