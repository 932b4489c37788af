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
_STEP_NS = 1_000_000_000 // FPS
_CARD_HEIGHT_PX = 420
_BORDER_PX = 12
_PORTRAITS = (
    ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
    ("skimage", "data/astronaut.png"),
)

Picture = npt.NDArray[np.uint8]


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
            utc_ns=lambda media_ns: self._clock.utc_ns() if realtime else media_ns,
        )

    def open(self) -> SourceInfo:
        """Load the portraits.

        Raises:
            SourceError: No portrait is installed.
        """
        self._stage = _Stage(cards=_cards(), small_size=self._small_size)
        seconds = None if self._count is None else self._count / FPS
        return SourceInfo(
            width=WIDTH, height=HEIGHT, fps=FPS, frames=self._count, duration_s=seconds, codec="drawn (gray)"
        )

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
                yield Frame(info=info, luma=luma, small=small)
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
        colour = _backdrop()
        self._grey = cv2.cvtColor(colour, cv2.COLOR_BGR2GRAY)
        self._colour = cv2.resize(colour, small_size, interpolation=cv2.INTER_AREA)

    def drawn(self, seconds: float) -> tuple[Luma, Picture]:
        grey, colour = self._grey.copy(), self._colour.copy()
        for number, card in enumerate(self._cards):
            place = _placed(seconds - number * PERIOD_S / 2, card, turn=number)
            if place is not None:
                _paste(card.grey, place, grey)
                _paste(card.colour, _scaled(place, self._small_size), colour)
        grey.flags.writeable = False
        return Luma(plane=grey, limited=False), colour  # type: ignore[arg-type, return-value]


def _placed(seconds: float, card: _Card, turn: int) -> npt.NDArray[np.float64] | None:
    """Where a card is: the 2x3 matrix from card to picture pixels, None while it is off stage."""
    if seconds < 0:
        return None
    visit, at = divmod(seconds, PERIOD_S)
    if at >= ON_STAGE_S:
        return None
    share = at / ON_STAGE_S
    rightwards = (int(visit) + turn) % 2 == 0
    across = _travel(share) if rightwards else 1 - _travel(share)
    card_height, card_width = card.grey.shape
    centre_x = -card_width / 2 + across * (WIDTH + card_width)
    centre_y = HEIGHT / 2 + 20 * math.sin(2 * math.pi * share + turn)
    scale = 0.92 + 0.12 * math.sin(math.pi * share)
    matrix = cv2.getRotationMatrix2D((card_width / 2, card_height / 2), 5 * math.sin(2 * math.pi * share), scale)
    matrix[:, 2] += centre_x - card_width / 2, centre_y - card_height / 2
    return matrix


def _travel(share: float) -> float:
    """Share of the way across: quick in, slow through the middle, quick out."""
    middle = 2 * share - 1
    return 0.5 + 0.5 * (0.25 * middle + 0.75 * middle**5)


def _scaled(matrix: npt.NDArray[np.float64], size: tuple[int, int]) -> npt.NDArray[np.float64]:
    """The same place in the small picture."""
    return np.diag([size[0] / WIDTH, size[1] / HEIGHT]) @ matrix


def _paste(card: Picture, matrix: npt.NDArray[np.float64], onto: npt.NDArray[np.uint8]) -> None:
    cv2.warpAffine(
        card,
        matrix,
        (onto.shape[1], onto.shape[0]),
        dst=onto,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_TRANSPARENT,
    )


def _backdrop() -> Picture:
    """A plain gradient, (540, 960, 3) uint8 BGR."""
    down = np.linspace(0.0, 1.0, HEIGHT)[:, None, None]
    along = np.linspace(-1.0, 1.0, WIDTH)[None, :, None]
    top, bottom = np.array([120.0, 96.0, 78.0]), np.array([66.0, 54.0, 46.0])
    return np.clip((top + (bottom - top) * down) * (1.1 - 0.25 * along**2), 0, 255).astype(np.uint8)


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
    return _Card(grey=grey, colour=colour)  # type: ignore[arg-type]
