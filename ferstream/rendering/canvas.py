"""Draws plain shapes and text into the planes of a picture: luma at full size, chroma at half. One thread.

The rest of the picture is not touched, so it needs no conversion to RGB and back.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Plane = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.uint8]
"""(height, width) uint8: how much of the colour a pixel gets, 0..255."""
Rgb = tuple[int, int, int]
Yuv = tuple[int, int, int]

_WEIGHTS = {True: (0.2126, 0.0722), False: (0.299, 0.114)}
"""Shares of red and blue in the luma, of BT.709 and of BT.601."""


def to_yuv(colour: Rgb, *, is_bt709: bool) -> Yuv:
    """Return a colour in limited range.

    Args:
        colour: Red, green, blue, 0..255.
        is_bt709: Whether the numbers are those of BT.709; otherwise those of BT.601.
    """
    red, green, blue = (part / 255 for part in colour)
    of_red, of_blue = _WEIGHTS[is_bt709]
    luma = of_red * red + (1 - of_red - of_blue) * green + of_blue * blue
    return (
        round(16 + 219 * luma),
        round(128 + 112 * (blue - luma) / (1 - of_blue)),
        round(128 + 112 * (red - luma) / (1 - of_red)),
    )


class Canvas:
    """Draws into one picture. Coordinates are pixels of the picture; what lies outside is cut off."""

    def __init__(self, luma: Plane, chroma: tuple[Plane, Plane], *, is_bt709: bool = True, pixel_aspect: float = 1.0) -> None:
        """Keep the planes, which are changed.

        Args:
            luma: (height, width) uint8.
            chroma: Two planes of half the size.
            is_bt709: Which numbers a colour has; see ``to_yuv``.
            pixel_aspect: Width of a pixel divided by its height: text is made narrower by it, and so shown in its shape.
        """
        self._luma, self._chroma, self._is_bt709, self.pixel_aspect = luma, chroma, is_bt709, pixel_aspect

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self._luma.shape[1], self._luma.shape[0]

    def fill(self, left: float, top: float, width: float, height: float, colour: Rgb, opacity: float = 1.0) -> None:
        """Fill a rectangle.

        Args:
            left: Left edge.
            top: Upper edge.
            width: At least 0; less than half a pixel draws nothing.
            height: As ``width``.
            colour: Its colour.
            opacity: 0..1.
        """
        x, y = round(left), round(top)
        wide, high = round(left + width) - x, round(top + height) - y
        if wide > 0 and high > 0:
            self.stamp(np.full((high, wide), round(255 * opacity), np.uint8), x, y, colour)

    def frame(self, left: float, top: float, width: float, height: float, colour: Rgb, *, line: int) -> None:
        """Draw the outline of a rectangle, ``line`` pixels wide, outwards from its edge."""
        outer_w, outer_h = width + 2 * line, height + 2 * line
        self.fill(left - line, top - line, outer_w, line, colour)
        self.fill(left - line, top + height, outer_w, line, colour)
        self.fill(left - line, top - line, line, outer_h, colour)
        self.fill(left + width, top - line, line, outer_h, colour)

    def dot(self, x: float, y: float, radius: float, colour: Rgb) -> None:
        """Draw a disc around a point."""
        mask = _disc(max(1, round(radius)))
        self.stamp(mask, round(x) - mask.shape[1] // 2, round(y) - mask.shape[0] // 2, colour)

    def text_size(self, text: str, height_px: int) -> tuple[int, int]:
        """Return width and height of a text in pixels."""
        mask = text_mask(text, height_px, self.pixel_aspect)
        return mask.shape[1], mask.shape[0]

    def text(self, text: str, left: float, top: float, height_px: int, colour: Rgb) -> None:
        """Write a text with its upper left corner at a point."""
        self.stamp(text_mask(text, height_px, self.pixel_aspect), round(left), round(top), colour)

    def stamp(self, mask: Mask, left: int, top: int, colour: Rgb) -> None:
        """Mix a colour into the picture where a mask says so."""
        yuv = to_yuv(colour, is_bt709=self._is_bt709)
        _blend(self._luma, mask, left, top, yuv[0])
        # A mask that begins in the middle of a chroma sample reaches over it by half.
        padded = np.pad(mask, ((top % 2, (top + mask.shape[0]) % 2), (left % 2, (left + mask.shape[1]) % 2)))
        half = np.asarray(cv2.resize(padded, (padded.shape[1] // 2, padded.shape[0] // 2), interpolation=cv2.INTER_AREA), np.uint8)
        for plane, value in zip(self._chroma, yuv[1:], strict=True):
            _blend(plane, half, left // 2, top // 2, value)


def _blend(plane: Plane, mask: Mask, left: int, top: int, value: int) -> None:
    height, width = plane.shape
    x, y = max(left, 0), max(top, 0)
    right, bottom = min(left + mask.shape[1], width), min(top + mask.shape[0], height)
    if x >= right or y >= bottom:
        return
    part = plane[y:bottom, x:right]
    share = mask[y - top : bottom - top, x - left : right - left].astype(np.int32)
    part[:] = part + (share * (value - part.astype(np.int32)) + 127) // 255


@lru_cache(maxsize=32)
def _disc(radius: int) -> Mask:
    scale = 4
    side = 2 * radius + 1
    large = np.zeros((side * scale, side * scale), np.uint8)
    cv2.circle(large, (side * scale // 2, side * scale // 2), radius * scale, 255, -1)
    return np.asarray(cv2.resize(large, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


@lru_cache(maxsize=512)
def text_mask(text: str, height_px: int, pixel_aspect: float = 1.0) -> Mask:
    """Return a line of text as a mask.

    Args:
        text: The text.
        height_px: Size of the font.
        pixel_aspect: Width of a pixel divided by its height.
    """
    font = ImageFont.load_default(size=height_px)
    ascent, descent = font.getmetrics() if isinstance(font, ImageFont.FreeTypeFont) else (height_px, 0)
    image = Image.new("L", (max(1, round(font.getlength(text))), ascent + descent), 0)
    ImageDraw.Draw(image).text((0, 0), text, font=font, fill=255)
    mask = np.asarray(image, np.uint8)
    if pixel_aspect == 1:
        return mask
    width = max(1, round(mask.shape[1] / pixel_aspect))
    return np.asarray(cv2.resize(mask, (width, mask.shape[0]), interpolation=cv2.INTER_AREA), np.uint8)
