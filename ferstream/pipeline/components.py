"""What a pipeline is made of: the adapters of its stages, the values they follow, and what a camera talks to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ferstream.domain.event import CameraState, Event, FaceEvent
from ferstream.domain.face import DetectedFrame
from ferstream.domain.frame import Frame
from ferstream.domain.ports import Labeller, LiveView
from ferstream.events.privacy import UNRESTRICTED, PrivacyRules
from ferstream.tracking.tracker import Tracker

CHANNEL_ITEMS = 2
"""Items between later stages while cameras are live. Few on purpose: what waits here grows old."""
SPARE_PLACES = 1
"""Frames of live cameras between detection and publishing, beside those in the hands of the detection workers. With few,
frames wait in the lanes, where the freshest one is taken; with none, a detection worker would wait for the classifier."""


class Runner(Protocol):
    """Runs one camera; see ``ferstream.capture.stage``."""

    def start(self) -> None:
        """Begin to connect and to deliver frames."""

    def stop(self) -> None:
        """Ask it to end; returns at once."""

    def join(self, timeout_s: float) -> bool:
        """Wait for the end; True if its thread ended."""


@dataclass(frozen=True, slots=True)
class CameraCallbacks:
    """What a camera's runner calls.

    Attributes:
        emit: Takes a frame; raises ClosedError when nobody reads frames any more.
        on_state: Takes a change of the camera's state.
        on_end: Called once, when the camera has ended.
    """

    emit: Callable[[Frame], None]
    on_state: Callable[[CameraState], None]
    on_end: Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """The adapters of the stages, ready to use.

    Attributes:
        finders: One per detection worker: find, check and crop the faces of one frame.
        new_tracker: Makes the tracker of a camera's connection.
        classify: (n, 48, 48) uint8 to (n, 7) float32.
        new_labeller: Makes the labeller of a camera's connection.
        publish: Hands an event to the sinks.
        allow: Rate limit of face events.
        view: Shows the pipeline to people who look at it; None without a page.
    """

    finders: Sequence[Callable[[Frame], DetectedFrame]]
    new_tracker: Callable[[str], Tracker]
    classify: Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]
    new_labeller: Callable[[str], Labeller]
    publish: Callable[[Event], None]
    allow: Callable[[FaceEvent], bool]
    view: LiveView | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineConfig:
    """Plain values that the stages follow.

    Attributes:
        staleness_s: Age in seconds above which a live frame is not analysed.
        max_batch: Faces per batch.
        max_wait_s: Longest wait in seconds for a batch to fill.
        summary_interval_s: Seconds between summaries; 0 = none.
        channel_items: Items that may wait between detection, tracking and inference.
        spare_places: Frames that may be behind detection, beside one per detection worker; None for no limit but ``channel_items``.
        privacy: What may be published about people.
    """

    staleness_s: float = 0.5
    max_batch: int = 32
    max_wait_s: float = 0.005
    summary_interval_s: float = 10.0
    channel_items: int = CHANNEL_ITEMS
    spare_places: int | None = SPARE_PLACES
    privacy: PrivacyRules = UNRESTRICTED
