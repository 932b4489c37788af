"""Draws the demo clip: portraits that enter, stay and leave. Every picture is a function of its time alone.

The portraits are sample data of installed packages: Grace Hopper (matplotlib) and Eileen Collins (scikit-image, if
installed); both are pictures of US agencies in the public domain.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ferstream.domain.frame import Image, Luma
from ferstream.errors import SourceError

WIDTH, HEIGHT = 960, 540
"""Size of the clip in pixels."""
PERIOD_S = 12.0
"""Seconds from one entrance of a portrait to its next."""
ON_SCREEN_S = 10.0
"""Seconds that a portrait is visible in each period."""
ENTRANCE_S = 1.5
"""Seconds that a portrait takes to come in, and to leave."""
_CARD_HEIGHT_PX = 420
_BORDER_PX = 12
_PORTRAITS = (
    ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
    ("skimage", "data/astronaut.png"),
)

Matrix = npt.NDArray[np.float64]
"""(2, 3) float64: affine transform from card pixels to picture pixels."""


@dataclass(frozen=True, slots=True)
class _Card:
    """A portrait with a white border.

    Attributes:
        grey: (h, w) uint8, for the luma.
        colour: (h, w, 3) uint8 BGR, for the detection image.
    """

    grey: Image
    colour: Image


class DemoClip:
    """Draws the clip at any time: the luma at full size, and the detection image.

    Args:
        portraits: Image files of the portraits; at least one.
        detection_size: (width, height) of the detection image in pixels.

    Raises:
        SourceError: There is no portrait, or one is damaged.
    """

    def __init__(self, *, portraits: Sequence[Path], detection_size: tuple[int, int]) -> None:
        if not portraits:
            raise SourceError("demo: no portrait is installed; pip install matplotlib (or name a video file instead)")
        self._cards, self._detection_size = [_card(path) for path in portraits], detection_size
        background = _background()
        self._grey = _as_image(cv2.cvtColor(background, cv2.COLOR_BGR2GRAY))
        self._colour = _as_image(cv2.resize(background, detection_size, interpolation=cv2.INTER_AREA))

    def draw(self, seconds: float) -> tuple[Luma, Image]:
        """Return the luma, (540, 960) uint8, and the detection image, (h, w, 3) uint8 BGR, at a time of the clip."""
        grey, colour = self._grey.copy(), self._colour.copy()
        for number, card in enumerate(self._cards):
            middle = (number + 0.5) / len(self._cards)
            matrix = _card_matrix(seconds - number * PERIOD_S / len(self._cards), card, middle)
            if matrix is not None:
                _paste(card.grey, matrix, grey)
                _paste(card.colour, _scaled(matrix, self._detection_size), colour)
        grey.flags.writeable = False
        return Luma(plane=grey, limited=False), colour


def _card_matrix(seconds: float, card: _Card, middle: float) -> Matrix | None:
    """Return the transform from card to picture pixels, None while the card is not visible.

    Args:
        seconds: Time since its first entrance.
        card: The card.
        middle: Where it stays, as a share of the width; it enters and leaves at the nearer side.
    """
    at = seconds % PERIOD_S
    if seconds < 0 or at >= ON_SCREEN_S:
        return None
    share = at / ON_SCREEN_S
    angle = 2 * math.pi * share
    height, width = card.grey.shape
    away = -0.6 * width if middle <= 0.5 else WIDTH + 0.6 * width
    arrived = _eased(min(at, ON_SCREEN_S - at) / ENTRANCE_S)
    centre_x = away + arrived * (middle * WIDTH + 30 * math.sin(angle) - away)
    centre_y = HEIGHT / 2 + 15 * math.sin(2 * angle)
    scale = 0.9 + 0.1 * math.sin(math.pi * share)
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 5 * math.sin(angle), scale)
    matrix[:, 2] += centre_x - width / 2, centre_y - height / 2
    return np.asarray(matrix, dtype=np.float64)


def _eased(share: float) -> float:
    """Map 0..1 to 0..1 with zero slope at both ends; more than 1 becomes 1."""
    share = min(1.0, share)
    return share * share * (3 - 2 * share)


def _scaled(matrix: Matrix, size: tuple[int, int]) -> Matrix:
    """Return the transform for a picture of another size, (width, height) in pixels."""
    return np.diag([size[0] / WIDTH, size[1] / HEIGHT]) @ matrix


def _paste(card: Image, matrix: Matrix, onto: Image) -> None:
    """Warp a card into the part of ``onto`` that it covers."""
    height, width = card.shape[:2]
    corners = np.array([[0, 0, 1], [width, 0, 1], [width, height, 1], [0, height, 1]]) @ matrix.T
    left, top = np.clip(np.floor(corners.min(axis=0)).astype(int) - 1, 0, None)
    right, bottom = np.ceil(corners.max(axis=0)).astype(int) + 1
    part = onto[top:bottom, left:right] if right > 0 and bottom > 0 else onto[:0]
    if not part.size:
        return
    inside = matrix - np.array([[0, 0, left], [0, 0, top]])
    cv2.warpAffine(card, inside, part.shape[1::-1], dst=part, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_TRANSPARENT)


def _background() -> Image:
    """Return a gradient, (540, 960, 3) uint8 BGR."""
    down = np.linspace(0.0, 1.0, HEIGHT)[:, None, None]
    along = np.linspace(-1.0, 1.0, WIDTH)[None, :, None]
    top, bottom = np.array([120.0, 96.0, 78.0]), np.array([66.0, 54.0, 46.0])
    return _as_image(np.clip((top + (bottom - top) * down) * (1.1 - 0.25 * along**2), 0, 255))


def installed_portraits() -> Iterator[Path]:
    """Yield the files of the installed portraits; their packages are not imported."""
    for package, name in _PORTRAITS:
        spec = find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            if (path := Path(folder, name)).is_file():
                yield path


def _card(path: Path) -> _Card:
    portrait = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    if portrait is None:
        raise SourceError(f"demo: {path} is damaged; install its package again")
    height, width = portrait.shape[:2]
    inner = (round(width * _CARD_HEIGHT_PX / height), _CARD_HEIGHT_PX)
    portrait = cv2.resize(portrait, inner, interpolation=cv2.INTER_AREA)
    edges = (_BORDER_PX,) * 4
    colour = cv2.copyMakeBorder(portrait, *edges, cv2.BORDER_CONSTANT, value=(240, 244, 246))
    grey = cv2.cvtColor(colour, cv2.COLOR_BGR2GRAY)
    return _Card(grey=_as_image(grey), colour=_as_image(colour))


def _as_image(values: npt.NDArray[np.generic]) -> Image:
    return np.asarray(values).astype(np.uint8)
