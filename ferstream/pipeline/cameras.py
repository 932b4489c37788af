"""The cameras of a pipeline: their lanes in front of detection, their states, and how they come and go."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from ferstream.domain.event import CameraState, CameraStatus
from ferstream.domain.frame import EndOfStream, Frame
from ferstream.errors import ClosedError
from ferstream.pipeline.components import CameraCallbacks, Runner
from ferstream.pipeline.decode_turns import DecodeTurns
from ferstream.pipeline.demand import DEFAULT_FPS, Demand
from ferstream.pipeline.loss_counter import LossCounter
from ferstream.runtime.channel import Lane, Lanes, Overflow

LIVE_LANE_FRAMES = 1
"""Frames of a live camera that may wait: the newest one."""
RECORDING_LANE_FRAMES = 8
"""Decoded frames of a recording that may wait (3 MB each at 1080p); enough to keep two workers busy."""
NOT_DELIVERING = frozenset({CameraStatus.RECONNECTING, CameraStatus.OFFLINE, CameraStatus.STALLED, CameraStatus.DISABLED})

CameraItem = Frame | EndOfStream


@dataclass(slots=True)
class _Camera:
    runner: Runner
    lane: Lane[CameraItem]
    removed: threading.Event
    demand: Demand | None


class PipelineCameras:
    """Runs cameras into the lanes of a pipeline. ``states`` is for any thread, the rest for the one that owns the pipeline."""

    def __init__(
        self, *, frames: Lanes[CameraItem], publish_state: Callable[[CameraState], None], losses: LossCounter, decoders: int
    ) -> None:
        """Start without cameras.

        Args:
            frames: Takes the frames, a lane per camera.
            publish_state: Hands a state to the publishing stage; raises ClosedError when the pipeline ends.
            losses: Counts frames that nobody reads any more.
            decoders: Live cameras that may decode at once when decoding falls behind.
        """
        self.turns = DecodeTurns(decoders)
        self._frames, self._publish_state, self._losses = frames, publish_state, losses
        self._cameras: dict[str, _Camera] = {}
        self._states: dict[str, CameraState] = {}
        self._lock = threading.Lock()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the cameras that run."""
        return tuple(self._cameras)

    def states(self) -> Mapping[str, CameraState]:
        """Return the present state of each camera."""
        with self._lock:
            return dict(self._states)

    def add(self, name: str, *, live: bool, make_runner: Callable[[CameraCallbacks], Runner]) -> None:
        """Add a camera and start it.

        Raises:
            ValueError: The name is in use.
            ClosedError: The pipeline is ending.
        """
        # A camera that comes back gets the same lane: its numbers go on, so no worker can pass the new connection before the old one.
        lane = self._frames.open(
            name,
            capacity=LIVE_LANE_FRAMES if live else RECORDING_LANE_FRAMES,
            overflow=Overflow.DROP_OLDEST if live else Overflow.BLOCK,
            on_drop=lambda item: self._losses.lost("capture", (item,), "overflow"),
            keep=lambda item: isinstance(item, EndOfStream),  # or tracks would go on in the next connection
        )
        lane.set_weight(DEFAULT_FPS)
        removed = threading.Event()
        demand = Demand() if live else None
        try:
            runner = make_runner(self._callbacks(name, lane, removed, demand))
        except BaseException:
            lane.close()  # nobody else would, and the pipeline would never end
            raise
        lane.put(EndOfStream(name, final=False))  # ends tracks that an earlier camera of this name could not end itself
        with self._lock:
            self._cameras[name] = _Camera(runner, lane, removed, demand)
        runner.start()

    def demands(self) -> Mapping[str, float]:
        """Return the frames per second that each live camera asks to be analysed."""
        with self._lock:
            return {name: camera.demand.fps for name, camera in self._cameras.items() if camera.demand is not None}

    def ask_to_end(self, name: str) -> None:
        """Ask a camera to end, if there is one; ``remove`` then has less to wait for."""
        if name in self._cameras:
            self._cameras[name].runner.stop()
            self.turns.leave(name)

    def remove(self, name: str, *, timeout_s: float) -> bool:
        """End one camera and wait until detection took its frames; True if that was in time.

        Frames that were not taken are dropped for the reason ``shutdown``. A camera of the same name can be added at once.
        """
        deadline = time.monotonic() + timeout_s
        with self._lock:
            camera = self._cameras.pop(name)
        camera.runner.stop()
        self.turns.leave(name)
        ended = camera.runner.join(timeout_s)
        drained = camera.lane.drain(max(0.0, deadline - time.monotonic()))
        self._losses.lost("detection", camera.lane.abandon(), "shutdown")
        with self._lock:
            camera.removed.set()
            self._states.pop(name, None)
        return ended and drained

    def stop(self, *, timeout_s: float) -> None:
        """Ask all cameras to end and wait for them, no longer than the timeout."""
        deadline = time.monotonic() + timeout_s
        for camera in self._cameras.values():
            camera.runner.stop()
        self.turns.close()
        for camera in self._cameras.values():
            camera.runner.join(max(0.0, deadline - time.monotonic()))

    def alive(self) -> list[str]:
        """Return the names of the cameras whose threads have not ended."""
        return [name for name, camera in self._cameras.items() if not camera.runner.join(0.0)]

    def set_state(self, state: CameraState) -> None:
        """Publish a state that no runner reports, for example that a camera is disabled."""
        with self._lock:
            self._set_state(state)

    def _set_state(self, state: CameraState) -> None:
        """Keep and publish a state, with the lock held: the state published last is the state kept."""
        self._states[state.camera] = state
        with suppress(ClosedError):  # the pipeline is ending: nobody publishes states any more
            self._publish_state(state)

    def _callbacks(self, name: str, lane: Lane[CameraItem], removed: threading.Event, demand: Demand | None) -> CameraCallbacks:
        def on_state(state: CameraState) -> None:
            with self._lock:
                if removed.is_set():
                    return  # from a thread that a removal left behind; another camera may have the name by now
                previous = self._states.get(name)
                self._set_state(state)
            if previous is not None and previous.status is CameraStatus.ONLINE and state.status in NOT_DELIVERING:
                self.turns.leave(name)
                with suppress(ClosedError):  # the camera has ended, and its tracks with it
                    lane.put(EndOfStream(name, final=False))

        def on_end() -> None:
            with suppress(ClosedError):  # closed by a stop, which ends every track anyway
                lane.put(EndOfStream(name, final=True))
            lane.close()

        return CameraCallbacks(partial(self._emit, name, lane, demand), on_state, on_end)

    def _emit(self, name: str, lane: Lane[CameraItem], demand: Demand | None, frame: Frame) -> None:
        """Queue a frame. Of a live camera, also measure what it asks for, and wait until it may decode the next one."""
        if demand is not None:
            demand.add(frame.info)
            lane.set_weight(demand.fps)  # a busy pipeline then serves the same share of what each camera asks for
        try:
            lane.put(frame)
        except ClosedError:
            self._losses.lost("capture", (frame,), "shutdown")
            raise
        if demand is not None:
            self.turns.wait(name, lane, is_behind=demand.is_behind)
