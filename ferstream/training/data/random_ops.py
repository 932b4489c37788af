"""Random numbers for a batch of faces, drawn by ``keras.random`` on the device."""

from __future__ import annotations

from typing import Any

from keras import ops


class Draws:
    """Hands out random numbers, one for each face of a batch: the columns of one matrix, which is drawn by a single operation."""

    def __init__(self, uniform: Any) -> None:
        """Take the numbers: a tensor (B, columns) float32, uniform in 0..1."""
        self._uniform = uniform
        self._used = 0

    def between(self, low: float, high: float) -> Any:
        """Return a number between ``low`` and ``high`` for each face: (B, 1, 1) float32."""
        column = self._uniform[:, self._used]
        self._used += 1
        return low + (high - low) * column[:, None, None]

    def around(self, largest: float) -> Any:
        """Return a number between -``largest`` and ``largest`` for each face: (B, 1, 1) float32."""
        return self.between(-largest, largest)

    def happens(self, probability: float) -> Any:
        """Return for each face whether something of this probability happens: (B, 1, 1) bool."""
        return self.between(0.0, 1.0) < probability

    def sign(self) -> Any:
        """Return 1 or -1 for each face: (B, 1, 1) float32."""
        return ops.where(self.happens(0.5), 1.0, -1.0)
