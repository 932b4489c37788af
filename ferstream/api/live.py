"""``ferstream.watch``: the events of cameras while they happen."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Self, TypedDict, TypeVar, Unpack, cast, overload

if TYPE_CHECKING:
    from ferstream.api.events import Event, FaceEvent
    from ferstream.api.values import EventKind, Masks
    from ferstream.api.watch_session import WatchSession

E = TypeVar("E")


class Watch(Generic[E], Iterator[E]):
    """The events of cameras: iterate, or call ``get``. Any thread may call ``close``; one thread takes the events.

    The cameras run in threads of their own until ``close``, the end of the ``with`` block, or soon after the object was dropped.
    """

    def __init__(self, session: WatchSession) -> None:
        """Start the cameras; ``ferstream.watch`` makes the session.

        Args:
            session: Threads and events.

        Raises:
            FerstreamError: The models cannot be loaded, or the source cannot be opened.
        """
        self._session = session
        weakref.finalize(self, session.ask_to_end).atexit = False
        session.start()
        try:
            session.wait_until_open()
        except BaseException:
            session.close()
            raise

    def __next__(self) -> E:
        event = self._next(None)
        if event is None:
            raise StopIteration
        return event

    def __iter__(self) -> Self:
        return self

    def get(self, timeout_s: float | None = None) -> E | None:
        """Wait for the next event.

        Args:
            timeout_s: Longest wait in seconds, 0 for none; None waits without a limit.

        Returns:
            The event; None where none came in time, or all cameras have ended (``closed`` tells which).

        Raises:
            ferstream.errors.FerstreamError: The pipeline failed.
        """
        try:
            return self._next(timeout_s)
        except TimeoutError:
            return None

    def close(self) -> None:
        """End the cameras and the iteration, and wait for the threads; more than one call is allowed. Events that wait are discarded."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def closed(self) -> bool:
        """Whether no event will come any more: after ``close``, or when all cameras have ended and their events were taken."""
        return self._session.finished

    @property
    def waiting(self) -> int:
        """Events that wait for the program."""
        return len(self._session.events)

    @property
    def dropped(self) -> int:
        """Events that were dropped because the program took them too slowly."""
        return self._session.dropped

    def _next(self, timeout_s: float | None) -> E | None:
        try:
            message = self._session.next(timeout_s)
        except TimeoutError:
            raise
        except BaseException:
            self.close()
            raise
        if message is None:
            return None
        from ferstream.api.events import event_of

        return cast("E", event_of(message.schema, message.payload.decode()))


class WatchOptions(TypedDict, total=False):
    """The options of ``watch``, which describes them."""

    fps: float | None
    max_hz: float | None
    buffer: int
    model: str | None
    masks: Masks
    config: str | os.PathLike[str] | None
    camera: str | None
    settings: Mapping[str, object] | None


@overload
def watch(source: str | os.PathLike[str] | None = ..., **options: Unpack[WatchOptions]) -> Watch[FaceEvent]: ...
@overload
def watch(source: str | os.PathLike[str] | None = ..., *, kinds: Sequence[EventKind], **options: Unpack[WatchOptions]) -> Watch[Event]: ...
def watch(  # noqa: PLR0913 (what a camera can be asked for)
    source: str | os.PathLike[str] | None = None,
    *,
    kinds: Sequence[EventKind] = ("face",),
    fps: float | None = None,
    max_hz: float | None = None,
    buffer: int = 1000,
    model: str | None = None,
    masks: Masks = (),
    config: str | os.PathLike[str] | None = None,
    camera: str | None = None,
    settings: Mapping[str, object] | None = None,
) -> Watch[FaceEvent] | Watch[Event]:
    """Analyse a camera, and give its events while they happen.

    The cameras run in threads of their own, as in the daemon: frames that come too fast are dropped, a lost camera is connected
    again. Nothing is published or stored: there is no broker, no outbox and no page. Use it in a ``with`` block, which ends the
    threads whatever happens.

    Args:
        source: ``webcam:0``, ``rtsp(s)://...``, ``http(s)://...``, ``demo:`` (the built-in portraits), or a recording, which is played
            at media speed. None: the cameras of ``config``. A source that cannot be opened is an error of this call; a camera that
            is lost later is connected again, and so are cameras of ``config`` from the start.
        kinds: Kinds of events: ``"face"`` (a face in a frame), ``"track"`` (a face appeared, changed its label or left), ``"summary"``
            (counts of an interval) and ``"state"`` (a camera went online, was lost, ...).
        fps: Frames to analyse per second; 0 = every frame. None: what ``config`` says, else every frame.
        max_hz: Most face events per second of a face; 0 = every analysed frame. None: what ``config`` says, else 10.
        buffer: Most events that wait for the program. When it takes them too slowly, the oldest is dropped and counted in
            ``Watch.dropped``.
        model: ``auto``, or name, name/version or folder of a model bundle. None: that of ``config``, else ``auto``.
        masks: Polygons that are filled with grey before a frame is analysed. Each has at least three corners (x, y), relative to
            the width and height of the picture, 0..1. They are added to those of the settings, and apply to every camera.
        config: A settings file of ferstream, read with the ``FERSTREAM_`` variables. Its sinks and pages are not used. None: the
            defaults, with the privacy settings that ``ferstream run`` would obey on this machine: the masks of a camera with this
            source, and ``privacy.aggregate_only``.
        camera: Without ``config``: name of the camera in events, by default ``camera``. With it: the camera of ``config`` to
            watch; with ``source`` too, its settings and masks apply to that source.
        settings: Further settings by dotted key, such as ``{"publishing.summary_interval_s": 5.0}``.

    Returns:
        An iterator of events, which is a context manager: ``FaceEvent``, and ``TrackEvent``, ``SummaryEvent``, ``StateEvent``
        where ``kinds`` asks for them. It ends when all cameras have ended (recordings) or it is closed.

    Raises:
        ferstream.errors.SourceError: The source cannot be opened.
        ferstream.errors.ModelError: The model cannot be used.
        ferstream.errors.ConfigError: An argument or setting is wrong, or ``privacy.aggregate_only`` is set and ``kinds`` asks
            for events of single faces.

    Example:
        >>> with ferstream.watch("webcam:0") as events:  # doctest: +SKIP
        ...     for event in events:
        ...         print(event.track.id, event.emotion.smoothed.label)
    """
    from ferstream.api.pipeline_options import CameraChoice, watch_job
    from ferstream.api.watch_session import WatchSession

    choice = CameraChoice(source=None if source is None else os.fspath(source), camera=camera, fps=fps, masks=masks)
    job = watch_job(choice, config=config, kinds=kinds, buffer=buffer, max_hz=max_hz, model=model, more=settings)
    return Watch(WatchSession(job, must_open=source is not None))
