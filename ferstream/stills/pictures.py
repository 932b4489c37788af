"""Read a still picture from a file."""

from __future__ import annotations

import io
import stat
import warnings
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ferstream.errors import SourceError, SourceFormatError
from ferstream.runtime.input_file import open_input
from ferstream.runtime.printable import printable
from ferstream.stills.orientation import UPRIGHT, stored_orientation, turned_upright

Picture = npt.NDArray[np.uint8]
"""(h, w, 3) uint8 BGR, upright."""
MAX_PIXELS = 64_000_000
"""Default of the largest picture that is decoded, in pixels."""
LARGEST_SIDE = 65_535
"""Side in pixels that stands for a picture beyond the limit of Pillow (179 million pixels)."""
_MAX_BYTES_PER_PIXEL = 8
"""Of a file: uncompressed pixels of four channels with 16 bits."""

_NOT_DECODED = {
    (4, b"ftypheic"): "HEIC",
    (4, b"ftypheix"): "HEIC",
    (4, b"ftypheim"): "HEIC",
    (4, b"ftyphevc"): "HEIC",
    (4, b"ftypmif1"): "HEIF",
    (4, b"ftypmsf1"): "HEIF",
    (4, b"JXL "): "JPEG XL",
    (0, b"\xff\x0a"): "JPEG XL",
}
"""Formats that neither library decodes, by offset and bytes."""


@dataclass(frozen=True, slots=True)
class Header:
    """What the header of a picture says.

    Attributes:
        size: Width and height of the stored pixels.
        orientation: How they have to be turned, 1 to 8 as EXIF counts.
    """

    size: tuple[int, int]
    orientation: int = UPRIGHT


def read_picture(path: Path, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Read a picture in a format of OpenCV, turned upright as its file says (``stored_orientation``).

    Args:
        path: The file.
        max_pixels: Width times height of the largest picture; a larger one is refused before it is decoded.

    Raises:
        SourceError: The file does not exist or cannot be read.
        SourceFormatError: The file is not a picture, or it is too large.
    """
    try:
        data = _read(path, max_pixels)
    except OSError as exc:
        raise SourceError(f"{printable(path)}: cannot be read: {exc.strerror or exc}") from exc
    return decode_picture(data, name=printable(path), max_pixels=max_pixels)


def decode_picture(data: bytes, *, name: str, max_pixels: int = MAX_PIXELS) -> Picture:
    """Decode the file of a picture, turned upright as the file says.

    Args:
        data: The whole file.
        name: Name of the picture, for messages.
        max_pixels: Width times height of the largest picture; a larger one is refused before it is decoded.

    Raises:
        SourceFormatError: The data is not a picture, or the picture is too large.
    """
    header = picture_header(data)
    if header is None:
        raise SourceFormatError(f"{name}: {_why_not(data)}")
    check_size(*header.size, name=name, max_pixels=max_pixels)
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as exc:
        raise SourceFormatError(f"{name}: cannot be decoded as a picture: {exc.err or exc}") from exc
    if picture is None:
        raise SourceFormatError(f"{name}: {_why_not(data)}")
    return turned_upright(np.asarray(picture, np.uint8), header.orientation)


def check_size(width: int, height: int, *, name: str, max_pixels: int) -> None:
    """Check that a picture is not too large.

    Args:
        width: Width in pixels.
        height: Height in pixels.
        name: Name of the picture, for the message.
        max_pixels: Width times height of the largest picture.

    Raises:
        SourceFormatError: The picture is too large.
    """
    if width * height > max_pixels:
        raise SourceFormatError(f"{name}: the picture is {width} x {height} pixels; max_pixels allows {max_pixels:,}")


def picture_header(data: bytes) -> Header | None:
    """Return what the header of a picture says, without decoding the picture; None if it is not a picture.

    OpenCV has no function for this, and would allocate the whole picture first.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a picture that may be a bomb, of damaged EXIF
            with Image.open(io.BytesIO(data)) as picture:
                return Header(size=picture.size, orientation=stored_orientation(picture, data))
    except Image.DecompressionBombError:
        return Header(size=(LARGEST_SIDE, LARGEST_SIDE))
    except Exception:  # noqa: BLE001 (of damaged files Pillow's readers raise anything: RuntimeError for AVIF)
        return None


def picture_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height in pixels as stored, without decoding the picture; None if it is not a picture."""
    header = picture_header(data)
    return None if header is None else header.size


def _read(path: Path, max_pixels: int) -> bytes:
    """Read a file, unless it is larger than a picture of ``max_pixels`` can be."""
    name, status, limit = printable(path), path.stat(), max_pixels * _MAX_BYTES_PER_PIXEL
    if stat.S_ISDIR(status.st_mode):
        raise SourceError(f"{name}: is a folder; give its pictures, such as {name}/*.jpg")
    data = b""
    if status.st_size <= limit:
        # Not more than the file has: Python allocates what it is asked for before it reads.
        most = status.st_size if stat.S_ISREG(status.st_mode) else limit
        with open_input(path) as file:
            data = file.read(most + 1)
    if status.st_size > limit or len(data) > limit:
        raise SourceFormatError(f"{name}: the file is too large; max_pixels allows pictures of {max_pixels:,} pixels")
    return data


def _why_not(data: bytes) -> str:
    if not data:
        return "is empty"
    known = next((name for (at, mark), name in _NOT_DECODED.items() if data[at : at + len(mark)] == mark), None)
    if known is not None:
        return f"is a {known} picture, which cannot be decoded; convert it to JPEG first"
    return "is not a picture that can be decoded; JPEG, PNG, WebP, AVIF, BMP, TIFF and GIF can"
