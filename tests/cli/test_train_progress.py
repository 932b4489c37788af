"""What ``train`` shows: lines without control characters in a file, a bar on a terminal."""

from __future__ import annotations

import io
import math

import pytest

pytest.importorskip("keras", reason="the Keras extra is not installed")

from ferstream.cli.train_progress import LINE_INTERVAL_S, training_progress
from ferstream.training.fitting.history import EpochRecord

RECORD = EpochRecord(
    epoch=1, loss=1.5, accuracy=0.4, val_loss=1.25, val_accuracy=0.5, val_majority_accuracy=None, learning_rate=1e-3, seconds=134.0
)


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def run(stream: io.StringIO, *, step_s: float = 1.0) -> list[str]:
    """One epoch of 100 steps of one second each."""
    now = 0.0
    with training_progress(2, stream, clock=lambda: now) as progress:
        progress.on_phase("building the network")
        for done in range(101):
            progress.on_step(0, done, 100, 1.5)
            now += step_s
        progress.on_epoch(RECORD)
    return stream.getvalue().splitlines()


def test_a_file_gets_a_line_for_each_phase_and_every_half_minute() -> None:
    lines = run(io.StringIO())
    assert lines[0] == "building the network ..."
    assert lines[1] == "epoch 1/2: step 0 of 100, the first step compiles the network, which may take a minute"
    assert lines[2:5] == [f"epoch 1/2: step {round(LINE_INTERVAL_S) * number} of 100, loss 1.500" for number in (1, 2, 3)]
    assert lines[5] == "epoch 1/2: loss 1.500, validation loss 1.250, labels 50.0 %, 134 s"
    assert len(lines) == 6
    assert not {"\r", "\x1b"} & set("".join(lines))


def test_short_epochs_are_one_line_each() -> None:
    assert len(run(io.StringIO(), step_s=0.01)) == 3


def test_a_teacher_is_announced() -> None:
    stream = io.StringIO()
    with training_progress(2, stream) as progress:
        progress.on_step(0, 1, 9, math.nan)
    assert stream.getvalue() == "epoch 1/2: step 1 of 9, the teacher classifies the faces\n"


def test_a_terminal_gets_a_bar_that_is_gone_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Screen()
    lines = run(stream)
    assert "\x1b" in stream.getvalue()
    assert any(line.endswith("building the network ...") for line in lines)
    assert any("labels 50.0 %" in line for line in lines)


def test_a_terminal_that_cannot_move_its_cursor_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert run(Screen()) == run(io.StringIO())
