"""Read a still picture from a file."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ferstream.errors import SourceError, SourceFormatError

Picture = npt.NDArray[np.uint8]
"""(h, w, 3) uint8 BGR, upright."""


def read_picture(path: Path) -> Picture:
    """Read a picture in any format of OpenCV, rotated upright by its EXIF orientation.

    Raises:
        SourceError: The file does not exist or cannot be read.
        SourceFormatError: The file is not a picture.
    """
    if path.is_dir():
        raise SourceError(f"{path}: is a folder; give its pictures, such as {path}/*.jpg")
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    except OSError as exc:
        raise SourceError(f"{path}: cannot be read: {exc.strerror or exc}") from exc
    except cv2.error as exc:
        raise SourceFormatError(f"{path}: cannot be decoded as a picture: {exc.err or exc}") from exc
    if picture is None:
        reason = "is empty" if not len(data) else "is not a picture that can be decoded; JPEG, PNG, WebP, BMP, TIFF and GIF can"
        raise SourceFormatError(f"{path}: {reason}")
    return np.asarray(picture, np.uint8)
