"""Pictures for tests: the portrait that matplotlib ships, and files made of it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ferstream.domain.frame import Luma
from ferstream.inference.alignment import align

PORTRAIT_LANDMARKS = ((227.1, 193.3), (307.8, 195.4), (266.5, 240.0), (228.5, 267.9), (302.2, 269.6))
"""Of ``portrait()``, in pixels, in the order of ``CANONICAL``."""


def portrait_path() -> Path:
    """A real portrait, 512x600, one frontal face of about 170 px."""
    import matplotlib as mpl

    return Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg"


def portrait() -> npt.NDArray[np.uint8]:
    """The portrait as (600, 512, 3) uint8 BGR."""
    return np.asarray(cv2.imread(str(portrait_path())), np.uint8)


def portrait_crop() -> npt.NDArray[np.uint8]:
    """The face of the portrait, aligned: (48, 48) uint8."""
    grey = np.asarray(cv2.cvtColor(portrait(), cv2.COLOR_BGR2GRAY), np.uint8)
    return align(Luma(plane=grey, limited=False), PORTRAIT_LANDMARKS)


def jpeg_with_orientation(path: Path, picture: npt.NDArray[np.uint8], orientation: int) -> Path:
    """Write a JPEG with an EXIF orientation (1..8), as phones do."""
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 95])
    entry = b"\x01\x12\x00\x03\x00\x00\x00\x01" + orientation.to_bytes(2) + b"\x00\x00"
    tiff = b"MM\x00\x2a\x00\x00\x00\x08\x00\x01" + entry + b"\x00\x00\x00\x00"
    body = b"Exif\x00\x00" + tiff
    segment = b"\xff\xe1" + (len(body) + 2).to_bytes(2) + body
    raw = data.tobytes()
    path.write_bytes(raw[:2] + segment + raw[2:])
    return path
