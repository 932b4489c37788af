"""Read a still picture from a file."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ferstream.errors import SourceError, SourceFormatError

Picture = npt.NDArray[np.uint8]
"""(h, w, 3) uint8 BGR, upright."""
MAX_PIXELS = 64_000_000
"""Default of the largest picture that is decoded, in pixels."""
LARGEST_SIDE = 65_535
"""Side in pixels that stands for a picture beyond the limit of Pillow (179 million pixels)."""
_MAX_BYTES_PER_PIXEL = 8
"""Of a file: uncompressed pixels of four channels with 16 bits."""


def read_picture(path: Path, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Read a picture in a format of OpenCV, rotated upright by its EXIF orientation.

    Args:
        path: The file.
        max_pixels: Width times height of the largest picture; a larger one is refused before it is decoded.

    Raises:
        SourceError: The file does not exist or cannot be read.
        SourceFormatError: The file is not a picture, or it is too large.
    """
    if path.is_dir():
        raise SourceError(f"{path}: is a folder; give its pictures, such as {path}/*.jpg")
    try:
        if path.stat().st_size > max_pixels * _MAX_BYTES_PER_PIXEL:
            raise SourceFormatError(f"{path}: the file is too large; max_pixels allows pictures of {max_pixels:,} pixels")
        data = path.read_bytes()
        size = picture_size(data)
        if size is not None and size[0] * size[1] > max_pixels:
            raise SourceFormatError(f"{path}: the picture is {size[0]} x {size[1]} pixels; max_pixels allows {max_pixels:,}")
        picture = None if size is None else cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except OSError as exc:
        raise SourceError(f"{path}: cannot be read: {exc.strerror or exc}") from exc
    except cv2.error as exc:
        raise SourceFormatError(f"{path}: cannot be decoded as a picture: {exc.err or exc}") from exc
    if picture is None:
        reason = "is empty" if not data else "is not a picture that can be decoded; JPEG, PNG, WebP, BMP, TIFF and GIF can"
        raise SourceFormatError(f"{path}: {reason}")
    return np.asarray(picture, np.uint8)


def picture_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height in pixels from the header of a picture, without decoding it; None if it is not a picture.

    OpenCV has no function for this, and would allocate the whole picture first.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as picture:
                return picture.size
    except Image.DecompressionBombError:
        return LARGEST_SIDE, LARGEST_SIDE
    except (OSError, ValueError, SyntaxError, OverflowError):
        return None
