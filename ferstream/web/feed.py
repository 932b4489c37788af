"""The live feed: takes frames from the pipeline while somebody looks, and encodes the newest ones in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

import structlog

from ferstream.domain.event import CameraState, LabelledFrame, Summary, TrackEvent
from ferstream.domain.frame import Frame, FrameInfo, Image
from ferstream.domain.track import TrackState
from ferstream.runtime.clock import Clock
from ferstream.runtime.observer import Observer
from ferstream.web.hub import Hub
from ferstream.web.messages import LiveMessage, camera_message, frame_message, summary_message
from ferstream.web.pictures import FrameKey, PictureStore, to_jpeg

MAX_FPS = 12.0
"""Frames per second and camera that are sent at most."""
MAX_SHARE = 0.25
"""Share of a core that encoding takes at most. Four cameras with pictures need half of it; with more of them, or on a slow machine, each is
shown less often, so that the pipeline keeps its cores."""
MAX_CHANGES = 64
"""Track events of skipped frames that wait for the next frame that is sent, per camera; the oldest give way."""
ERRORS = "live_view_error"
"""Incident: a message could not be encoded, by kind of the error."""
_JOIN_S = 2.0

_LOG = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CameraView:
    """What the page knows of a camera without anybody looking at it.

    Attributes:
        size: Width and height of the last frame in pixels; None before the first one.
        faces_now: Faces in the last frame; under ``aggregate_only`` those of the last summary. None if unknown.
        summary: The last summary; None before the first one.
    """

    size: tuple[int, int] | None = None
    faces_now: int | None = None
    summary: Summary | None = None


@dataclass(slots=True)
class _Camera:
    """State of one camera, and what waits for the encoding thread.

    Attributes:
        index: Number of the last frame.
        due_ns: Monotonic time from which the next frame is taken.
        frame: The newest frame that waits, with its picture.
        changes: Track events since the last frame that was encoded.
        state: The newest state that waits.
        summary: The newest summary.
        summary_waits: Whether the summary waits.
    """

    size: tuple[int, int] | None = None
    faces_now: int | None = None
    index: int = -1
    due_ns: int = 0
    frame: tuple[LabelledFrame, Image | None] | None = None
    changes: deque[TrackEvent] = field(default_factory=lambda: deque(maxlen=MAX_CHANGES))
    state: CameraState | None = None
    summary: Summary | None = None
    summary_waits: bool = False

    @property
    def waits(self) -> bool:
        return self.frame is not None or self.state is not None or self.summary_waits


class LiveFeed:
    """The ``LiveView`` of a daemon: between the stages of the pipeline and the viewers of the hub.

    Without a viewer, a frame costs two dictionary look-ups. With one, the publishing thread leaves the newest frame here and wakes the
    encoding thread; it never waits for it.
    """

    def __init__(
        self,
        hub: Hub,
        *,
        pixels: bool,
        aggregate_only: bool,
        observer: Observer,
        clock: Clock,
        max_fps: float = MAX_FPS,
        max_share: float = MAX_SHARE,
    ) -> None:
        """Make a feed; ``start`` runs its thread.

        Args:
            hub: Gets the encoded messages.
            pixels: Whether frames are sent with their pictures.
            aggregate_only: Whether nothing about single faces is shown; the caller of ``show`` does not pass frames then.
            observer: Counts errors.
            clock: Monotonic time.
            max_fps: Frames per second and camera that are sent at most.
            max_share: Share of a core that encoding takes at most, 0..1.
        """
        self.hub, self.pixels, self.aggregate_only = hub, pixels and not aggregate_only, aggregate_only
        self._observer, self._clock, self._period_ns = observer, clock, round(1e9 / max_fps)
        self._max_share, self._pictures = max_share, PictureStore()
        self._changed = threading.Condition()
        self._cameras: dict[str, _Camera] = {}
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live-view", daemon=True)

    def start(self) -> None:
        """Start the encoding thread."""
        self._thread.start()

    def close(self) -> None:
        """End all streams and the encoding thread."""
        self._closed.set()
        with self._changed:
            self._changed.notify()
        self.hub.close()
        if self._thread.is_alive():
            self._thread.join(_JOIN_S)
        self._pictures.clear()

    # -- called by the stages of the pipeline ----------------------------------------------------

    def keep_picture(self, frame: Frame) -> None:
        """Keep the masked picture of a frame, if pictures are sent and somebody looks at the camera."""
        if self.pixels and self.hub.wants(frame.info.camera):
            self._pictures.put(frame.info.key, frame.detection_image)

    def drop_pictures(self, keys: Iterable[FrameKey]) -> None:
        """Forget the pictures of frames that were published or lost."""
        self._pictures.drop(keys)

    def saw(self, info: FrameInfo) -> None:
        """Note the size of the pictures of a camera."""
        self._camera(info.camera).size = (info.width, info.height)

    def show(self, item: LabelledFrame | Summary | CameraState) -> None:
        """Leave something for the encoding thread; the newest of each kind and camera waits."""
        if isinstance(item, LabelledFrame):
            self._show_frame(item)
        elif isinstance(item, Summary):
            self._show_summary(item)
        elif self.hub.viewers:
            with self._changed:
                self._camera(item.camera).state = item
                self._changed.notify()

    def _show_frame(self, frame: LabelledFrame) -> None:
        info = frame.info
        camera = self._camera(info.camera)
        # What only ends tracks and repeats a frame is the end of a stream; else it stands for a frame that was dropped.
        dropped = frame.end_of_stream and info.index != camera.index
        camera.index = info.index
        if not (self.aggregate_only or dropped):
            camera.faces_now = sum(face.track.state is not TrackState.LEFT for face in frame.faces)
        if self.aggregate_only or not self.hub.wants(info.camera):
            if camera.changes:
                with self._changed:
                    camera.changes.clear()
            return
        now_ns = self._clock.monotonic_ns()
        with self._changed:
            camera.changes.extend(frame.changes)
            if dropped or (now_ns < camera.due_ns and not frame.end_of_stream):
                return
            camera.due_ns = (now_ns // self._period_ns + 1) * self._period_ns
            camera.frame = frame, self._pictures.take(info.key)
            self._changed.notify()

    def _show_summary(self, summary: Summary) -> None:
        camera = self._camera(summary.camera)
        with self._changed:
            camera.summary, camera.summary_waits = summary, self.hub.viewers > 0
            if self.aggregate_only:
                camera.faces_now = summary.faces_now
            self._changed.notify()

    def _camera(self, name: str) -> _Camera:
        camera = self._cameras.get(name)
        if camera is None:
            with self._changed:
                camera = self._cameras.setdefault(name, _Camera())
        return camera

    # -- what the page asks ----------------------------------------------------------------------

    def view(self, camera: str) -> CameraView:
        """Return what is known of a camera; any thread."""
        known = self._cameras.get(camera)
        return CameraView() if known is None else CameraView(known.size, known.faces_now, known.summary)

    @property
    def pictures(self) -> int:
        """Pictures that are kept for frames on their way."""
        return len(self._pictures)

    def forget(self, names: Iterable[str]) -> None:
        """Forget cameras that were taken out of the settings."""
        with self._changed:
            for name in names:
                self._cameras.pop(name, None)

    # -- the encoding thread ---------------------------------------------------------------------

    def _run(self) -> None:
        while (work := self._take()) is not None:
            began_s = time.thread_time()
            for encode in work:
                self._send(encode)
            self._closed.wait(rest_s(time.thread_time() - began_s, self._max_share))

    def _send(self, encode: Callable[[], LiveMessage]) -> None:
        try:
            self.hub.send(encode())
        except Exception as exc:  # noqa: BLE001 (thread boundary: counted; the next message may be fine)
            self._observer.count(ERRORS, type(exc).__name__)
            _LOG.error("a message of the live view was lost", error=str(exc))

    def _take(self) -> list[Callable[[], LiveMessage]] | None:
        """Wait for something to encode, and take all that waits; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed.is_set() or any(camera.waits for camera in self._cameras.values()))
            if self._closed.is_set():
                return None
            return [encode for camera in self._cameras.values() for encode in self._take_from(camera)]

    def _take_from(self, camera: _Camera) -> Iterable[Callable[[], LiveMessage]]:
        """Take what waits of one camera; the caller holds the lock."""
        state, frame, changes = camera.state, camera.frame, tuple(camera.changes)
        if state is not None:
            camera.state = None
            yield partial(camera_message, state)
        if frame is not None:
            camera.frame = None
            camera.changes.clear()
            yield partial(_encoded, *frame, changes)
        if camera.summary is not None and camera.summary_waits:
            summary, camera.summary_waits = camera.summary, False
            yield partial(summary_message, summary)


def rest_s(work_s: float, share: float) -> float:
    """Return how long to rest after work that took so many seconds of CPU time, to take this share of a core."""
    return work_s * (1 / share - 1)


def _encoded(frame: LabelledFrame, picture: Image | None, changes: Iterable[TrackEvent]) -> LiveMessage:
    return frame_message(frame, changes, None if picture is None else to_jpeg(picture))
