"""Masked pictures of the frames that are on their way through the pipeline, beside the pipeline's own values.

The values of the pipeline have no field for a picture, so no sink, log or file can get one. The pictures wait here, where
only the live view looks, and go when their frame is shown, published or lost.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable

from ferstream.domain.frame import Image

MAX_PICTURES = 32
"""Pictures kept at once, 0.7 MB each at the usual size; many more than frames are in flight."""
JPEG_QUALITY = 60
"""Of 100. Faces look as they are; a picture of 640x352 takes about 25 kB."""

FrameKey = tuple[str, int]
"""Camera and number of a frame."""


class PictureStore:
    """The pictures by frame; any thread. The oldest give way to new ones.

    Args:
        limit: Most pictures that are kept.
    """

    def __init__(self, limit: int = MAX_PICTURES) -> None:
        self._limit, self._lock = limit, threading.Lock()
        self._pictures: OrderedDict[FrameKey, Image] = OrderedDict()

    def __len__(self) -> int:
        """Pictures that are kept."""
        return len(self._pictures)

    def put(self, key: FrameKey, picture: Image) -> None:
        """Keep a picture, without a copy."""
        with self._lock:
            self._pictures[key] = picture
            if len(self._pictures) > self._limit:
                self._pictures.popitem(last=False)

    def take(self, key: FrameKey) -> Image | None:
        """Return and forget the picture of a frame; None if there is none."""
        with self._lock:
            return self._pictures.pop(key, None)

    def drop(self, keys: Iterable[FrameKey]) -> None:
        """Forget the pictures of these frames."""
        if not self._pictures:  # nobody looks: no lock for each frame
            return
        with self._lock:
            for key in keys:
                self._pictures.pop(key, None)

    def clear(self) -> None:
        """Forget all pictures."""
        with self._lock:
            self._pictures.clear()


def to_jpeg(picture: Image, quality: int = JPEG_QUALITY) -> bytes:
    """Return a picture as JPEG, without metadata. Lets other threads run while it computes.

    Args:
        picture: (h, w, 3) uint8 BGR, 0..255.
        quality: 0..100.

    Raises:
        ValueError: The picture cannot be encoded.
    """
    import cv2

    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f"a picture of {picture.shape} cannot be encoded as JPEG")
    return data.tobytes()
