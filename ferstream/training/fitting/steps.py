"""What the training loop asks of the steps of an epoch, be the batches made by the host or on the device."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np
import numpy.typing as npt

from ferstream.errors import DataError

Arrays = dict[str, list[npt.NDArray[Any]]]


class Steps(Protocol):
    """The steps of training one network. All methods are called by the thread of the training loop."""

    def __len__(self) -> int:
        """Return the number of steps of an epoch."""

    def prepare(self, report: Callable[[int, int], None]) -> None:
        """Do once what takes long before the first step; call ``report`` with parts done and their total."""

    def compile(self, optimizer: keras.optimizers.Optimizer) -> None:
        """Train with this optimizer, which starts without state, from here on."""

    def start_epoch(self, epoch: int) -> None:
        """Begin an epoch (from 0). Its random values depend on the seed of the recipe and the epoch only."""

    def step(self, epoch: int, index: int, rate: float) -> tuple[float, float]:
        """Train on batch ``index`` (from 0) with this learning rate; return loss and accuracy."""

    def averaged(self) -> AbstractContextManager[None]:
        """Set the averaged weights in the network for the length of the block; none where the recipe has no average."""

    def state(self) -> Arrays:
        """Return optimizer and average for a checkpoint, as copies."""

    def restore(self, path: Path, arrays: Arrays) -> None:
        """Take over what ``state`` returned, from the checkpoint ``path``, after ``compile``."""


def values_of(variables: list[Any]) -> list[npt.NDArray[Any]]:
    """Return copies of the variables' values."""
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def assign(path: Path, variables: list[Any], values: list[npt.NDArray[Any]]) -> None:
    """Set variables to the values of a checkpoint.

    Raises:
        DataError: The shapes differ.
    """
    shapes = [tuple(variable.shape) for variable in variables]
    if shapes != [value.shape for value in values]:
        raise DataError(f"{path}: the arrays do not fit the network; the checkpoint has another version; choose another --out")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
