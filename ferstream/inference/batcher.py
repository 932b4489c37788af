"""Collects the faces of all cameras into batches.

Motive: a GPU classifies 32 faces in about the time of one; a camera alone rarely has them.
PipelineConfig: wait for the first frame for as long as it takes; then go on until ``max_faces`` are
together or ``max_wait_s`` after that first frame. Exemption: when nothing is on its way
upstream there is nobody to wait for, and the batch goes at once, so a single camera pays no
latency. Frames are not torn apart: the last one may carry a batch over ``max_faces``, which the
stage then classifies in pieces.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ferstream.domain.frame import EndOfStream
from ferstream.domain.track import TrackedFrame
from ferstream.errors import ClosedError
from ferstream.runtime.channel import Channel

Item = TrackedFrame | EndOfStream


def face_count(item: Item) -> int:
    """Faces of ``item`` that will be classified."""
    return 0 if isinstance(item, EndOfStream) else sum(1 for face in item.faces if face.face.crop is not None)


class Batcher:
    """Takes batches of frames from a channel; used by one thread."""

    def __init__(
        self,
        channel: Channel[Item],
        *,
        max_faces: int,
        max_wait_s: float,
        on_its_way: Callable[[], bool] = lambda: True,
    ) -> None:
        if max_faces < 1 or max_wait_s < 0:
            raise ValueError(f"want max_faces >= 1 and max_wait_s >= 0, got {max_faces}, {max_wait_s}")
        self._channel, self.max_faces, self._max_wait_s = channel, max_faces, max_wait_s
        self._on_its_way = on_its_way

    def take(self, timeout_s: float) -> list[Item]:
        """Wait for the next batch: at least one item, in the order of the channel.

        Raises:
            TimeoutError: Not even a first item came in ``timeout_s``.
            ClosedError: The channel is closed and drained.
        """
        batch = [self._channel.get(timeout_s)]
        faces = face_count(batch[0])
        deadline = time.monotonic() + self._max_wait_s
        while faces < self.max_faces and not self._complete(batch):
            left_s = deadline - time.monotonic() if self._on_its_way() else 0.0
            try:
                item = self._channel.get(max(0.0, left_s))
            except (TimeoutError, ClosedError):
                break
            batch.append(item)
            faces += face_count(item)
        return batch

    def _complete(self, batch: list[Item]) -> bool:
        """Bounds a batch of frames without faces, which would otherwise never fill."""
        return len(batch) >= 4 * self.max_faces
