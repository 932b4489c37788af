"""JSON lines to files and to stdout."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from ferstream.domain.message import Message
from ferstream.errors import OutputError
from ferstream.events.encode import Encoder
from ferstream.sinks.jsonl import JsonlSink
from tests.support.builders import face_event, track_event


class Messages:
    """Encodes events."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    def face(self, index: int = 0) -> Message:
        return self._encoder.encode(face_event(index))

    def track(self, index: int = 0) -> Message:
        return self._encoder.encode(track_event(index))


@pytest.fixture
def messages(encoder: Encoder) -> Messages:
    return Messages(encoder)


def test_a_line_for_each_face_and_nothing_else(messages: Messages, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    sink = JsonlSink(path=str(path))
    sink.open()
    for index in range(3):
        sink.write(messages.face(index))
        sink.write(messages.track(index))
    sink.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["seq"] for line in lines] == [0, 1, 2]
    assert {line["schema"] for line in lines} == {"ferstream.face/1"}
    assert sink.lines == 3


def test_flush_makes_lines_visible(messages: Messages, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    sink = JsonlSink(path=str(path))
    sink.open()
    sink.write(messages.face())
    assert sink.flush(1) == 0
    assert path.read_bytes().endswith(b"\n")
    sink.close()


def test_stdout_stays_open(messages: Messages) -> None:
    out = io.BytesIO()
    sink = JsonlSink(path="-", stdout=out)
    sink.open()
    sink.write(messages.face())
    sink.close()
    sink.close()
    assert not out.closed
    assert out.getvalue().count(b"\n") == 1


@pytest.mark.parametrize(("path", "problem"), [("missing/dir/out.jsonl", "No such file"), (".", "Is a directory")])
def test_a_file_that_cannot_be_opened_is_an_error(messages: Messages, tmp_path: Path, path: str, problem: str) -> None:
    with pytest.raises(OutputError, match=problem):
        JsonlSink(path=str(tmp_path / path)).open()


def test_a_full_disk_is_an_error_of_flush_and_close(messages: Messages) -> None:
    sink = JsonlSink(path="/dev/full")
    sink.open()
    sink.write(messages.face())
    with pytest.raises(OutputError, match=r"/dev/full: No space left"):
        sink.flush(1)
    assert isinstance(sink.failure, OutputError)
    with pytest.raises(OutputError, match=r"/dev/full: No space left"):
        sink.close()
    sink.close()


def test_after_a_full_disk_every_call_fails(messages: Messages) -> None:
    sink = JsonlSink(path="/dev/full")
    sink.open()
    with pytest.raises(OutputError, match="No space left"):
        for index in range(10_000):
            sink.write(messages.face(index))
    for call in (lambda: sink.write(messages.face()), lambda: sink.write(messages.track()), lambda: sink.flush(1), sink.close):
        with pytest.raises(OutputError, match="No space left"):
            call()
    sink.close()


def test_a_disk_that_is_full_at_the_end_is_an_error_of_close(messages: Messages) -> None:
    sink = JsonlSink(path="/dev/full")
    sink.open()
    sink.write(messages.face())
    with pytest.raises(OutputError, match="No space left"):
        sink.close()
    sink.close()


def test_a_reader_of_stdout_that_leaves_is_not_an_error(root_dir: Path) -> None:
    program = """
from ferstream.events.encode import Encoder, ModelRef
from ferstream.runtime.clock import SystemClock
from ferstream.sinks.jsonl import JsonlSink
from tests.support.builders import face_event
encoder = Encoder(node="n", boot_id="b", model=ModelRef("m", "1"), clock=SystemClock())
sink = JsonlSink(path="-")
sink.open()
for index in range(2000):
    sink.write(encoder.encode(face_event(index)))
sink.flush(1)
sink.close()
assert sink.lines < 2000
"""
    with subprocess.Popen([sys.executable, "-c", program], cwd=root_dir, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stderr is not None
        child.stdout.close()
        assert child.stderr.read() == b""
    assert child.returncode == 0
