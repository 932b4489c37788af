"""Protocols that several rooms share: sinks of events, the live view, labelling of tracks, alignment of faces."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ferstream.domain.event import CameraState, LabelledFrame, Summary
from ferstream.domain.face import Affine, FaceImage, Point
from ferstream.domain.frame import Frame, FrameInfo, Luma
from ferstream.domain.message import Message
from ferstream.domain.track import TrackedFrame


@dataclass(frozen=True, slots=True)
class SinkStatus:
    """State of a sink at one moment.

    Attributes:
        name: Name of the sink: ``mqtt``, ``webhook``, ``kafka``, ``jsonl``, ...
        connected: Whether the other side accepts events now; None for a sink without a connection.
        reason: Why it is not connected, one redacted line; empty when it is.
    """

    name: str
    connected: bool | None = None
    reason: str = ""


class Sink(Protocol):
    """Takes the messages of all cameras, in order per camera.

    A sink that needs the network reads its messages from an outbox in a thread of its own; its ``write`` then
    takes only what does not go through the outbox. ``write`` is called by the publishing thread only.
    """

    @property
    def name(self) -> str:
        """Short name, used in logs, metrics and the outbox."""
        ...

    def open(self) -> None:
        """Get ready; does not wait for a network.

        Raises:
            FerstreamError: The sink can never work (wrong path, wrong settings).
        """
        ...

    def write(self, message: Message) -> None:
        """Take one message; never waits for a network.

        Raises:
            FerstreamError: The message is lost.
        """
        ...

    def flush(self, timeout_s: float) -> int:
        """Wait until every message is delivered; return how many are neither delivered nor in an outbox."""
        ...

    def close(self) -> None:
        """Stop the threads and release everything; more than one call is allowed."""
        ...

    def status(self) -> SinkStatus:
        """Return the state of the sink; any thread may call it."""
        ...


@runtime_checkable
class UsesNetwork(Protocol):
    """A sink that connects to another machine once it is open."""

    def check(self) -> None:
        """Find out what makes the sink impossible, without a connection; called for all such sinks before one is opened.

        Raises:
            FerstreamError: The sink can never work (wrong settings, a certificate that cannot be read).
        """
        ...


@runtime_checkable
class RetainsCameras(Protocol):
    """A sink that keeps a value per camera on the other side, which must go when the camera is taken out of the settings."""

    def forget_camera(self, camera: str) -> None:
        """Remove the values of the camera; later ones are ignored."""
        ...

    def remember_camera(self, camera: str) -> None:
        """Accept the values of the camera again; called before it is started."""
        ...


class LiveView(Protocol):
    """Shows the pipeline to people who look at it at this moment. No method waits or raises, and each takes microseconds.

    What may be shown is decided by the caller: ``show`` gets what the privacy rules allow, ``keep_picture`` a picture whose masks
    are painted.
    """

    def saw(self, info: FrameInfo) -> None:
        """Note that a frame was analysed; publishing thread."""
        ...

    def show(self, item: LabelledFrame | Summary | CameraState) -> None:
        """Show something to those who look at its camera; publishing thread."""
        ...

    def keep_picture(self, frame: Frame) -> None:
        """Keep the detection image of a frame until it is shown or dropped; detection threads."""
        ...

    def drop_pictures(self, keys: Iterable[tuple[str, int]]) -> None:
        """Forget the pictures of frames that were published or lost; any thread."""
        ...


class Labeller(Protocol):
    """Labels the tracks of one camera, smoothed over media time; called by the inference thread only."""

    def label(self, frame: TrackedFrame, probabilities: Sequence[Sequence[float] | None]) -> LabelledFrame:
        """Label every face of the next frame.

        Args:
            frame: The faces of the frame and the tracks that ended at it.
            probabilities: One entry per face of ``frame``: seven floats in LABELS order, or None for a face that was not classified.
        """
        ...


class Align(Protocol):
    """Cuts a face out of the grey picture in the geometry a model was trained on; a pure function, for any thread."""

    def __call__(self, luma: Luma, landmarks: Sequence[Point]) -> tuple[FaceImage, Affine]:
        """Return the crop and the affine matrix from source to crop pixels.

        Args:
            luma: The grey picture at full size.
            landmarks: Five points in source pixels, in the order of ``Face.landmarks``.

        Returns:
            (48, 48) uint8 grey, full range 0..255; (2, 3) float64.
        """
        ...
