"""A short recording of a real face, a portrait that ships with matplotlib."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
from av.video.stream import VideoStream
from matplotlib.cbook import get_sample_data

SIZE = (192, 224)
"""(width, height) in pixels."""


def write_portrait_clip(path: Path, *, frames: int = 10, rate: int = 10, codec: str = "libx264", pixel_format: str = "yuv420p") -> Path:
    """Encode the portrait ``frames`` times and return the path."""
    picture = cv2.imread(str(get_sample_data("grace_hopper.jpg", asfileobj=False)))
    assert picture is not None
    small = np.asarray(cv2.resize(picture, SIZE, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = *SIZE, pixel_format
        stream.codec_context.thread_count = 1
        for _ in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(small, format="bgr24")))
        container.mux(stream.encode(None))
    return path
