"""A scripted webcam."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cv2


class ScriptedDevice:
    """Implements the methods of ``cv2.VideoCapture`` that ferstream uses.

    Args:
        reads: Pictures that ``read`` returns, in order; None for a failed read.
        there: Whether the device can be opened.
        then: Called when there are no more pictures.
    """

    def __init__(self, reads: Sequence[Any] = (), *, there: bool = True, then: Callable[[], None] = lambda: None) -> None:
        self._reads, self._there, self._then = iter(reads), there, then
        self.properties: dict[int, float] = {cv2.CAP_PROP_FPS: 30.0}
        self.released = 0

    def isOpened(self) -> bool:
        return self._there

    def set(self, prop: int, value: float, /) -> bool:
        self.properties[prop] = value
        return True

    def get(self, prop: int, /) -> float:
        return self.properties.get(prop, 0.0)

    def read(self) -> tuple[bool, Any]:
        picture = next(self._reads, None)
        if picture is None:
            self._then()
        return picture is not None, picture

    def release(self) -> None:
        self.released += 1
