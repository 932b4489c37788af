"""What ``ferstream train`` shows while it runs: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ferstream.training.fitting.history import EpochRecord
    from ferstream.training.session import Progress

LINE_INTERVAL_S = 30.0
"""Seconds between two lines about a running epoch, where there is no terminal."""
_COMPILING = "the first step compiles the network, which may take a minute"


class Display(Protocol):
    """Shows the steps of the running epoch, and lines."""

    def step(self, epoch: int, done: int, steps: int, loss: float) -> None:
        """Show the steps done; see ``Progress.on_step``."""

    def line(self, text: str) -> None:
        """Print a line."""


@contextmanager
def training_progress(epochs: int, stream: IO[str] | None = None, clock: Callable[[], float] = time.monotonic) -> Iterator[Progress]:
    """Show a training run: its phases, the steps of the running epoch, and a line for each finished one.

    Args:
        epochs: Epochs of the run.
        stream: Where it is shown; default: stdout.
        clock: Monotonic seconds.
    """
    from rich.console import Console

    from ferstream.training.session import Progress

    console = Console(file=stream, highlight=False, soft_wrap=True)
    is_screen = console.file.isatty() and os.environ.get("TERM") not in {"dumb", "unknown"}
    with _bar(epochs, console) if is_screen else _lines(epochs, console.file, clock) as display:
        yield Progress(
            on_step=display.step,
            on_epoch=lambda record: display.line(_summary(record, epochs)),
            on_phase=lambda phase: display.line(f"{phase} ..."),
            on_note=display.line,
        )


@contextmanager
def _bar(epochs: int, console: object) -> Iterator[Display]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    assert isinstance(console, Console)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}"))
    with Progress(*columns, TimeRemainingColumn(), transient=True, console=console) as bar:
        task = bar.add_task("", total=None, visible=False, note="")

        class Bar:
            def step(self, epoch: int, done: int, steps: int, loss: float) -> None:
                note = _note(done, steps, loss)
                bar.update(task, total=steps, completed=done, description=f"epoch {epoch + 1}/{epochs}", note=note, visible=True)

            def line(self, text: str) -> None:
                bar.update(task, visible=False)
                bar.console.print(text, markup=False)

        yield Bar()


@contextmanager
def _lines(epochs: int, stream: IO[str], clock: Callable[[], float]) -> Iterator[Display]:
    class Lines:
        def __init__(self) -> None:
            self._printed = -math.inf
            self._epoch = -1

        def step(self, epoch: int, done: int, steps: int, loss: float) -> None:
            first, self._epoch = self._epoch < 0, epoch
            if first or clock() - self._printed >= LINE_INTERVAL_S:
                self.line(f"epoch {epoch + 1}/{epochs}: step {done} of {steps}, {_note(done, steps, loss)}")

        def line(self, text: str) -> None:
            self._printed = clock()
            print(text, file=stream, flush=True)

    yield Lines()


def _note(done: int, steps: int, loss: float) -> str:
    if math.isnan(loss):
        return "the teacher classifies the faces"
    if done == 0:
        return _COMPILING
    return f"loss {loss:.3f}" + (", validating" if done == steps else "")


def _summary(record: EpochRecord, epochs: int) -> str:
    majority = record.val_majority_accuracy
    on_majority = "" if majority is None else f", FER+ majority {100 * majority:.1f} %"
    return (
        f"epoch {record.epoch}/{epochs}: loss {record.loss:.3f}, validation loss {record.val_loss:.3f}, "
        f"labels {100 * record.val_accuracy:.1f} %{on_majority}, {record.seconds:.0f} s"
    )
