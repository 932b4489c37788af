"""A clip that needs no file and no camera: portraits that come in, stay and leave.

The portraits are the ones that installed packages ship as sample data: Grace Hopper (matplotlib) and Eileen
Collins (scikit-image, when it is there); both are pictures of US agencies in the public domain. Every frame is a
function of its number, so the clip is the same everywhere.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ferstream.capture.framing import Framer
from ferstream.capture.source import SourceInfo
from ferstream.domain.frame import Frame, Luma, detection_size
from ferstream.errors import SourceError
from ferstream.runtime.clock import Clock, SystemClock
from ferstream.runtime.observer import Observer

WIDTH, HEIGHT, FPS = 960, 540, 25
ON_STAGE_S = 10.0
PERIOD_S = 12.0
ENTRANCE_S = 1.5
_STEP_NS = 1_000_000_000 // FPS
_CARD_HEIGHT_PX = 420
_BORDER_PX = 12
_PORTRAITS = (
    ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
    ("skimage", "data/astronaut.png"),
)

Picture = npt.NDArray[np.uint8]
Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Card:
    """A portrait with a white border: grey for the luma, BGR for the small picture."""

    grey: Picture
    colour: Picture


class DemoSource:
    """The built-in clip. ``open`` and ``frames`` belong to one thread."""

    def __init__(
        self,
        *,
        camera: str,
        observer: Observer,
        width: int = 640,
        analysis_fps: float = 0.0,
        realtime: bool = True,
        seconds: float | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Set up.

        Args:
            camera: Name of the camera.
            observer: Receives counts and durations.
            width: Wanted longer side of the detection picture in pixels.
            analysis_fps: Frames to analyse per second of media time, 0 for all.
            realtime: Play at media speed; frames are then ``live``.
            seconds: Length of the clip in seconds, None for endless.
            clock: The machine's clocks.
        """
        self._observer, self._realtime = observer, realtime
        self._clock = clock or SystemClock()
        self._stop = threading.Event()
        self._count = None if seconds is None else round(seconds * FPS)
        self._small_size = detection_size(WIDTH, HEIGHT, width)
        self._stage: _Stage | None = None
        self._framer = Framer(
            camera=camera,
            width=width,
            analysis_fps=analysis_fps,
            live=realtime,
            observer=observer,
            clock=self._clock,
        )
        self._framer.utc_origin_ns = None if realtime else 0

    @property
    def last_activity_ns(self) -> int:
        """Monotonic clock of the last decoded picture; 0 before the first."""
        return self._framer.last_activity_ns

    def open(self) -> SourceInfo:
        """Load the portraits.

        Raises:
            SourceError: No portrait is installed.
        """
        self._stage = _Stage(cards=_cards(), small_size=self._small_size)
        seconds = None if self._count is None else self._count / FPS
        return SourceInfo(width=WIDTH, height=HEIGHT, fps=FPS, frames=self._count, duration_s=seconds, codec="drawn (gray)")

    def frames(self) -> Iterator[Frame]:
        """Yield the frames to analyse, drawn as they are due."""
        stage = self._stage or _Stage(cards=_cards(), small_size=self._small_size)
        began_ns = self._clock.monotonic_ns()
        index = 0
        while (self._count is None or index < self._count) and not self._closed(began_ns + index * _STEP_NS):
            info = self._framer.next(index * _STEP_NS, (WIDTH, HEIGHT))
            if info is not None:
                started = time.perf_counter()
                luma, small = stage.drawn(index / FPS)
                self._observer.duration("capture", time.perf_counter() - started)
                yield Frame(info=info, luma=luma, detection_image=small)
            index += 1

    def close(self) -> None:
        """End ``frames``; any thread, more than once."""
        self._stop.set()

    def _closed(self, due_ns: int) -> bool:
        """In real time: wait until the next frame is due; True when the source was closed."""
        wait_ns = due_ns - self._clock.monotonic_ns() if self._realtime else 0
        return self._stop.wait(wait_ns / 1e9) if wait_ns > 0 else self._stop.is_set()


class _Stage:
    """Draws the clip at any time, at full size in grey and at detection size in colour."""

    def __init__(self, *, cards: tuple[_Card, ...], small_size: tuple[int, int]) -> None:
        self._cards, self._small_size = cards, small_size
        backdrop = _backdrop()
        self._grey = _picture(cv2.cvtColor(backdrop, cv2.COLOR_BGR2GRAY))
        self._colour = _picture(cv2.resize(backdrop, small_size, interpolation=cv2.INTER_AREA))

    def drawn(self, seconds: float) -> tuple[Luma, Picture]:
        """The luma and the small colour picture at a time of the clip."""
        grey, colour = self._grey.copy(), self._colour.copy()
        for number, card in enumerate(self._cards):
            middle = (number + 0.5) / len(self._cards)
            place = _placed(seconds - number * PERIOD_S / len(self._cards), card, middle)
            if place is not None:
                _paste(card.grey, place, grey)
                _paste(card.colour, _scaled(place, self._small_size), colour)
        grey.flags.writeable = False
        return Luma(plane=grey, limited=False), colour


def _placed(seconds: float, card: _Card, place: float) -> Matrix | None:
    """Where a card is: the 2x3 matrix from card to picture pixels, None while it is off stage.

    Args:
        seconds: Time since its first entrance.
        card: The card.
        place: Middle of its place as a share of the width; it comes from the nearer side and leaves there.
    """
    at = seconds % PERIOD_S
    if seconds < 0 or at >= ON_STAGE_S:
        return None
    share = at / ON_STAGE_S
    turn = 2 * math.pi * share
    height, width = card.grey.shape
    away = -0.6 * width if place <= 0.5 else WIDTH + 0.6 * width
    arrived = _eased(min(at, ON_STAGE_S - at) / ENTRANCE_S)
    centre_x = away + arrived * (place * WIDTH + 30 * math.sin(turn) - away)
    centre_y = HEIGHT / 2 + 15 * math.sin(2 * turn)
    scale = 0.9 + 0.1 * math.sin(math.pi * share)
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 5 * math.sin(turn), scale)
    matrix[:, 2] += centre_x - width / 2, centre_y - height / 2
    return np.asarray(matrix, dtype=np.float64)


def _eased(share: float) -> float:
    """0..1 to 0..1 without a jerk at either end; more than 1 stays 1."""
    share = min(1.0, share)
    return share * share * (3 - 2 * share)


def _scaled(matrix: Matrix, size: tuple[int, int]) -> Matrix:
    """The same place in the small picture."""
    return np.diag([size[0] / WIDTH, size[1] / HEIGHT]) @ matrix


def _paste(card: Picture, matrix: Matrix, onto: Picture) -> None:
    """Warp a card into the part of the picture that it covers."""
    height, width = card.shape[:2]
    corners = np.array([[0, 0, 1], [width, 0, 1], [width, height, 1], [0, height, 1]]) @ matrix.T
    left, top = np.clip(np.floor(corners.min(axis=0)).astype(int) - 1, 0, None)
    right, bottom = np.ceil(corners.max(axis=0)).astype(int) + 1
    part = onto[top:bottom, left:right] if right > 0 and bottom > 0 else onto[:0]
    if not part.size:
        return
    inside = matrix - np.array([[0, 0, left], [0, 0, top]])
    cv2.warpAffine(card, inside, part.shape[1::-1], dst=part, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_TRANSPARENT)


def _backdrop() -> Picture:
    """A plain gradient, (540, 960, 3) uint8 BGR."""
    down = np.linspace(0.0, 1.0, HEIGHT)[:, None, None]
    along = np.linspace(-1.0, 1.0, WIDTH)[None, :, None]
    top, bottom = np.array([120.0, 96.0, 78.0]), np.array([66.0, 54.0, 46.0])
    return _picture(np.clip((top + (bottom - top) * down) * (1.1 - 0.25 * along**2), 0, 255))


def _cards() -> tuple[_Card, ...]:
    cards = tuple(_card(path) for path in _portrait_paths())
    if not cards:
        raise SourceError("demo: no portrait is installed; pip install matplotlib (or name a video file instead)")
    return cards


def _portrait_paths() -> Iterator[Path]:
    """Files of the installed portraits; the packages themselves are not imported."""
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
    return _Card(grey=_picture(grey), colour=_picture(colour))


def _picture(values: npt.NDArray[np.generic]) -> Picture:
    return np.asarray(values).astype(np.uint8)
