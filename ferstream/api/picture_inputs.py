"""Pictures in the forms that ``ferstream.analyze`` takes, as the analysis takes them. Any thread."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from ferstream.errors import SourceFormatError
from ferstream.runtime.printable import printable
from ferstream.stills.orientation import stored_orientation, turned_upright
from ferstream.stills.pictures import Picture, check_size, decode_picture, read_picture

if TYPE_CHECKING:
    from PIL.Image import Image

    from ferstream.api.values import Colors, PictureInput

_EXPECTED = "expected a path, bytes, a numpy array of uint8 or a PIL image"


def file_of(image: object) -> str | None:
    """Return the path of a picture as one printable line; None for a picture from memory."""
    return printable(_path(image)) if isinstance(image, str | os.PathLike) else None


def to_picture(image: PictureInput, *, colors: Colors, max_pixels: int) -> Picture:
    """Return a picture as the analysis takes it.

    Args:
        image: See ``analyze``.
        colors: Order of the channels of numpy arrays.
        max_pixels: Width times height of the largest picture.

    Returns:
        (h, w, 3) uint8 BGR, upright; it may be the caller's array.

    Raises:
        SourceError: The file cannot be read.
        SourceFormatError: The picture has another type, shape or format, or is too large.
    """
    if isinstance(image, str | os.PathLike):
        return read_picture(_path(image), max_pixels=max_pixels)
    if isinstance(image, bytes | bytearray | memoryview):
        return decode_picture(bytes(image), name="picture of bytes", max_pixels=max_pixels)
    if isinstance(image, np.ndarray):
        return _from_array(image, colors, max_pixels)
    if _is_pil_image(image):
        return _from_pil(image, max_pixels)
    raise SourceFormatError(f"a picture of type {type(image).__name__} cannot be read: {_EXPECTED}")


def _path(image: str | os.PathLike[str]) -> Path:
    found: str | bytes = os.fspath(image)
    if isinstance(found, bytes):
        raise SourceFormatError("a path of bytes cannot be read: give the path as str or Path")
    if "\0" in found:
        raise SourceFormatError(f"{printable(found)}: a path cannot have a null character")
    return Path(found)


def _from_array(array: np.ndarray[Any, Any], colors: Colors, max_pixels: int) -> Picture:
    if array.dtype != np.uint8:
        raise SourceFormatError(f"an array of {array.dtype} cannot be read: expected uint8, 0..255")
    grey = array.ndim == 2
    if not (grey or (array.ndim == 3 and array.shape[2] in {3, 4})) or 0 in array.shape:
        raise SourceFormatError(
            f"an array of shape {array.shape} cannot be read: expected (height, width, 3), (height, width, 4) or (height, width)"
        )
    check_size(array.shape[1], array.shape[0], name="array", max_pixels=max_pixels)
    if grey:
        return np.repeat(array[:, :, np.newaxis], 3, axis=2)
    return np.ascontiguousarray(array[:, :, 2::-1] if colors == "rgb" else array[:, :, :3])


def _is_pil_image(image: object) -> TypeGuard[Image]:
    from PIL.Image import Image

    return isinstance(image, Image)


def _from_pil(image: Image, max_pixels: int) -> Picture:
    check_size(*image.size, name="PIL image", max_pixels=max_pixels)
    orientation = stored_orientation(image, b"")
    try:
        pixels = np.asarray(_eight_bits(image).convert("RGB"), np.uint8)
    except Exception as exc:
        raise SourceFormatError(f"PIL image of mode {image.mode}: cannot be decoded: {exc}") from exc
    return turned_upright(np.ascontiguousarray(pixels[:, :, ::-1]), orientation)


def _eight_bits(image: Image) -> Image:
    """Return an image whose conversion to RGB keeps its brightness: Pillow would cut 16 bits off at 255."""
    if not image.mode.startswith("I;16"):
        return image
    from PIL.Image import fromarray

    return fromarray((np.asarray(image) >> 8).astype(np.uint8))
