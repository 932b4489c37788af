"""Scripted cameras, finders, trackers, labellers and sinks for whole pipelines: they answer, raise, or wait for an event."""

from __future__ import annotations

import threading
from collections.abc import Callable, Container, Iterable, Sequence

from ferstream.domain.emotion import LABELS, Emotion, Verdict
from ferstream.domain.event import CameraState, CameraStatus, Event, FaceEvent, LabelledFrame, Summary, TrackChange, TrackEvent
from ferstream.domain.face import DetectedFrame
from ferstream.domain.frame import Frame
from ferstream.domain.track import Track, TrackedFace, TrackedFrame, TrackState
from ferstream.errors import ClosedError
from ferstream.pipeline.components import CameraCallbacks
from ferstream.runtime.counters import Counters
from tests.support.builders import camera_state, face_crop

PATIENCE_S = 60.0
"""Longest wait of a test for something that comes at once on an idle machine."""


class Scripted(RuntimeError):
    """The failure that a script asked for."""


class Gate:
    """Holds whoever passes until it is opened; ``reached`` tells that somebody stands there."""

    def __init__(self, *, is_open: bool = False) -> None:
        self._open = threading.Event()
        self.reached = threading.Event()
        if is_open:
            self._open.set()

    def open(self) -> None:
        """Let everybody pass, for good."""
        self._open.set()

    def __call__(self) -> None:
        """Wait here."""
        self.reached.set()
        if not self._open.wait(PATIENCE_S):
            raise Scripted("a gate that nobody opened")


class ScriptedRunner:
    """A camera: delivers its frames from a thread of its own, counting each one, and ends.

    Args:
        name: The camera's.
        counters: Counts the frames.
        callbacks: Where they go.
        frames: What it delivers.
        before_each: Called before each frame, with its place; may wait or report states.
        linger: Whether it stays connected after the last frame until it is stopped.
    """

    def __init__(
        self,
        name: str,
        *,
        counters: Counters,
        callbacks: CameraCallbacks,
        frames: Iterable[Frame],
        before_each: Callable[[int, CameraCallbacks], None] = lambda place, callbacks: None,
        linger: bool = False,
    ) -> None:
        self._counters, self.callbacks, self._frames = counters, callbacks, frames
        self._before_each, self._linger, self._name = before_each, linger, name
        self._stop = threading.Event()
        self.delivered = threading.Event()
        self.thread = threading.Thread(target=self._run, name=f"capture-{name}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self.thread.start()

    def stop(self) -> None:
        """Ask it to end."""
        self._stop.set()

    def join(self, timeout_s: float) -> bool:
        """Wait; True if it ended."""
        self.thread.join(timeout_s)
        return not self.thread.is_alive()

    def _run(self) -> None:
        try:
            self.callbacks.on_state(camera_state(camera=self._name))
            self._deliver()
            self.delivered.set()
            if self._linger:
                self._stop.wait(PATIENCE_S)
        except ClosedError:
            pass  # the pipeline takes no more
        finally:
            self.callbacks.on_state(camera_state(CameraStatus.OFFLINE, camera=self._name, reason="ended"))
            self.callbacks.on_end()

    def _deliver(self) -> None:
        for place, frame in enumerate(self._frames):
            if self._stop.is_set():
                return
            self._before_each(place, self.callbacks)
            self._counters.frame(frame.info.camera, "capture")
            self.callbacks.emit(frame)


class ScriptedLooker:
    """Finds ``faces`` faces in every frame, with the frame's index as their grey (modulo 7), and fails where told."""

    def __init__(
        self, *, faces: int = 1, without_crop: int = 0, fails_at: Container[int] = (), gate: Callable[[], None] = lambda: None
    ) -> None:
        self._faces, self._without_crop, self._fails_at, self._gate = faces, without_crop, fails_at, gate
        self.seen: list[tuple[str, int]] = []

    def __call__(self, frame: Frame) -> DetectedFrame:
        """Look at one frame."""
        self._gate()
        index = frame.info.index
        self.seen.append((frame.info.camera, index))
        if index in self._fails_at:
            raise Scripted(f"look {index}")
        crops = [face_crop(grey=index % 7, x=float(i)) for i in range(self._faces)]
        crops += [face_crop(grey=None) for _ in range(self._without_crop)]
        return DetectedFrame(info=frame.info, faces=tuple(crops))


class ScriptedTracker:
    """Gives the n-th face of every frame track n, and fails where told."""

    def __init__(self, camera: str, *, fails_at: Container[int] = (), gate: Callable[[], None] = lambda: None) -> None:
        self._camera, self._fails_at, self._gate = camera, fails_at, gate
        self._living = 0
        self._last: DetectedFrame | None = None

    def update(self, frame: DetectedFrame) -> TrackedFrame:
        """Track one frame."""
        self._gate()
        if frame.info.index in self._fails_at:
            raise Scripted(f"track {frame.info.index}")
        before, self._living = self._living, max(self._living, len(frame.faces))
        self._last = frame
        states = [TrackState.PRESENT if n < before else TrackState.APPEARED for n in range(len(frame.faces))]
        faces = tuple(
            TrackedFace(self._track(number, state), face) for number, (state, face) in enumerate(zip(states, frame.faces, strict=True), 1)
        )
        return TrackedFrame(info=frame.info, faces=faces)

    def finish(self) -> TrackedFrame | None:
        """End every track."""
        if self._last is None or not self._living:
            return None
        ended = tuple(self._track(number, TrackState.LEFT) for number in range(1, self._living + 1))
        self._living = 0
        return TrackedFrame(info=self._last.info, faces=(), ended=ended)

    def _track(self, number: int, state: TrackState) -> Track:
        return Track(id=f"{self._camera}-run-{number}", state=state, age_ns=0)


class ScriptedLabeller:
    """Labels each face by its largest probability, and fails where told."""

    def __init__(self, *, fails_at: Container[int] = ()) -> None:
        self._fails_at = fails_at

    def label(self, frame: TrackedFrame, probabilities: Sequence[Sequence[float] | None]) -> LabelledFrame:
        """Label one frame."""
        assert len(probabilities) == len(frame.faces)
        if frame.info.index in self._fails_at and not frame.end_of_stream:
            raise Scripted(f"label {frame.info.index}")
        faces = tuple(
            FaceEvent(info=frame.info, track=tracked.track, face=tracked.face.face, emotion=_emotion(row))
            for tracked, row in zip(frame.faces, probabilities, strict=True)
        )
        turns = tuple(_left(frame, track) for track in frame.ended)
        return LabelledFrame(info=frame.info, faces=faces, changes=turns)


class ScriptedSink:
    """Keeps every event; fails or waits where told."""

    def __init__(self, *, fails: Callable[[Event], bool] = lambda event: False, gate: Callable[[], None] = lambda: None) -> None:
        self._fails, self._gate = fails, gate
        self.events: list[Event] = []

    def open(self) -> None:
        """Nothing to open."""

    def write(self, event: Event) -> None:
        """Keep one event."""
        self._gate()
        if self._fails(event):
            raise Scripted("sink")
        self.events.append(event)

    def flush(self, timeout_s: float) -> int:
        """Nothing waits."""
        return 0

    def close(self) -> None:
        """Nothing to close."""

    def faces(self, camera: str | None = None) -> list[FaceEvent]:
        """The face events of one camera or of all, in order."""
        return [event for event in self.events if isinstance(event, FaceEvent) and camera in (None, event.info.camera)]

    def indices(self, camera: str) -> list[int]:
        """The frames whose faces arrived, in order."""
        return [event.info.index for event in self.faces(camera)]

    def turns(self, camera: str, change: TrackChange) -> list[TrackEvent]:
        """The turns of one camera's tracks."""
        events = (event for event in self.events if isinstance(event, TrackEvent))
        return [event for event in events if event.info.camera == camera and event.change is change]

    def states(self, camera: str) -> list[CameraState]:
        """The states of one camera, in order."""
        return [event for event in self.events if isinstance(event, CameraState) and event.camera == camera]

    def summaries(self, camera: str) -> list[Summary]:
        """The summaries of one camera, in order."""
        return [event for event in self.events if isinstance(event, Summary) and event.camera == camera]


def _emotion(row: Sequence[float] | None) -> Emotion:
    if row is None:
        nothing = Verdict("unknown", 0.0)
        return Emotion(nothing, nothing, None)
    best = max(range(len(row)), key=row.__getitem__)
    verdict = Verdict(LABELS[best], row[best])
    return Emotion(verdict, verdict, tuple(row))


def _left(frame: TrackedFrame, track: Track) -> TrackEvent:
    nothing = Verdict("unknown", 0.0)
    return TrackEvent(frame.info, track, TrackChange.LEFT, nothing, None, dwell_ns=0, shares={})
