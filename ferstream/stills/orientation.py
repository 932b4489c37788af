"""The orientation of a picture: which of the eight ways of storing it was used, and how it is turned upright."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL.Image import Image

UPRIGHT = 1
_TAG = 274
"""EXIF tag of the orientation, 1 to 8."""
_PNG_SIGNATURE_BYTES = 8
_TURNED_BY_OPENCV = "TIFF"
"""OpenCV turns this format even when it is asked not to."""

Pixels = npt.NDArray[np.uint8]


def stored_orientation(picture: Image, data: bytes) -> int:
    """Return how the decoded pixels have to be turned: 1 (not at all) to 8, as EXIF counts.

    EXIF counts first, with or without the ``Exif`` prefix, then XMP, as Pillow reads them. In AVIF only the properties of the
    container count (``irot``, ``imir``): its standard says that EXIF must be ignored there.

    Args:
        picture: The picture, opened by Pillow, not decoded.
        data: Its file.
    """
    if picture.format == _TURNED_BY_OPENCV:
        return UPRIGHT
    if picture.format == "AVIF":
        found = _from_exif(picture.info.get("exif", b""))
    else:
        found = _from_pillow(picture) or (_from_exif(_exif_of_png(data)) if picture.format == "PNG" else None)
    return found if found is not None and 1 <= found <= 8 else UPRIGHT


def turned_upright(pixels: Pixels, orientation: int) -> Pixels:
    """Return an (h, w) or (h, w, 3) uint8 picture turned and mirrored by its EXIF orientation, 1 to 8."""
    match orientation:
        case 2:
            turned = cv2.flip(pixels, 1)
        case 3:
            turned = cv2.rotate(pixels, cv2.ROTATE_180)
        case 4:
            turned = cv2.flip(pixels, 0)
        case 5:
            turned = cv2.transpose(pixels)
        case 6:
            turned = cv2.rotate(pixels, cv2.ROTATE_90_CLOCKWISE)
        case 7:
            turned = cv2.rotate(cv2.transpose(pixels), cv2.ROTATE_180)
        case 8:
            turned = cv2.rotate(pixels, cv2.ROTATE_90_COUNTERCLOCKWISE)
        case _:
            return pixels
    return np.asarray(turned, np.uint8)


def _from_pillow(picture: Image) -> int | None:
    from PIL.Image import Image

    try:
        # The method of the base class: that of a PNG would decode the picture.
        return _number(Image.getexif(picture).get(_TAG))
    except Exception:  # noqa: BLE001 (of damaged EXIF Pillow raises anything; the picture may be fine)
        return None


def _from_exif(data: bytes) -> int | None:
    from PIL.Image import Exif

    exif = Exif()
    try:
        exif.load(data)
    except Exception:  # noqa: BLE001 (as above)
        return None
    return _number(exif.get(_TAG))


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _exif_of_png(data: bytes) -> bytes:
    """Return the EXIF block of a PNG that has it after the pixels, where Pillow finds it only by decoding them."""
    return next((body for kind, body in _chunks(data) if kind == b"eXIf"), b"")


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = _PNG_SIGNATURE_BYTES
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        yield kind, data[at + 8 : at + 8 + length] if kind == b"eXIf" else b""
        at += 12 + length
