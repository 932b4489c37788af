"""Collects the frames of all cameras into batches; used by the inference thread.

A GPU classifies 32 faces in about the time of one, and one camera rarely shows that many. So a batch waits for its
first frame without a limit, and then for further ones until it has ``max_faces`` faces or ``max_wait_s`` have
passed since the first frame. When no frame is queued in the stages before, the batch ends at once, so that a
single camera has no extra latency. Frames are not split: the last frame may carry a batch over ``max_faces``, and
the classifier then runs it in parts.
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
    """Return the number of faces of ``item`` that will be classified, those with a crop."""
    return 0 if isinstance(item, EndOfStream) else sum(1 for face in item.faces if face.face.crop is not None)


class Batcher:
    """Takes batches of frames from a channel."""

    def __init__(
        self,
        channel: Channel[Item],
        *,
        max_faces: int,
        max_wait_s: float,
        on_its_way: Callable[[], bool] = lambda: True,
    ) -> None:
        """Take frames from ``channel``.

        Args:
            channel: Tracked frames and ends of streams.
            max_faces: Number of faces at which a batch is complete.
            max_wait_s: Longest wait in seconds after the first frame of a batch.
            on_its_way: Returns whether frames are queued in the stages before; if not, a batch does not wait.

        Raises:
            ValueError: ``max_faces`` is below 1, or ``max_wait_s`` below 0.
        """
        if max_faces < 1 or max_wait_s < 0:
            raise ValueError(f"want max_faces >= 1 and max_wait_s >= 0, got {max_faces}, {max_wait_s}")
        self._channel, self.max_faces, self._max_wait_s = channel, max_faces, max_wait_s
        self._on_its_way = on_its_way

    def take(self, timeout_s: float) -> list[Item]:
        """Wait for the next batch.

        Args:
            timeout_s: Longest wait in seconds for the first item.

        Returns:
            At least one item, in the order of the channel.

        Raises:
            TimeoutError: No item came in ``timeout_s``.
            ClosedError: The channel is closed and empty.
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
        """Return whether the batch has enough frames; frames without faces alone would never complete it."""
        return len(batch) >= 4 * self.max_faces
