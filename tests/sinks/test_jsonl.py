"""JSON lines to files and to stdout."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from ferstream.errors import OutputError
from ferstream.events.encode import Encoder
from ferstream.sinks.jsonl import JsonlSink
from tests.support.builders import face_event, track_event


def test_a_line_for_each_face_and_nothing_else(encoder: Encoder, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    sink = JsonlSink(path=str(path), encoder=encoder)
    sink.open()
    for index in range(3):
        sink.put(face_event(index))
        sink.put(track_event(index))
    sink.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["seq"] for line in lines] == [0, 1, 2]
    assert {line["schema"] for line in lines} == {"ferstream.face/1"}
    assert sink.lines == 3


def test_flush_makes_lines_visible(encoder: Encoder, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    sink = JsonlSink(path=str(path), encoder=encoder)
    sink.open()
    sink.put(face_event())
    assert sink.flush(1) == 0
    assert path.read_bytes().endswith(b"\n")
    sink.close()


def test_stdout_stays_open(encoder: Encoder) -> None:
    out = io.BytesIO()
    sink = JsonlSink(path="-", encoder=encoder, stdout=out)
    sink.open()
    sink.put(face_event())
    sink.close()
    sink.close()
    assert not out.closed
    assert out.getvalue().count(b"\n") == 1


@pytest.mark.parametrize(("path", "problem"), [("missing/dir/out.jsonl", "No such file"), (".", "Is a directory")])
def test_what_cannot_be_opened(encoder: Encoder, tmp_path: Path, path: str, problem: str) -> None:
    with pytest.raises(OutputError, match=problem):
        JsonlSink(path=str(tmp_path / path), encoder=encoder).open()


def test_a_full_disk_is_told(encoder: Encoder) -> None:
    sink = JsonlSink(path="/dev/full", encoder=encoder)
    sink.open()
    sink.put(face_event())
    with pytest.raises(OutputError, match=r"/dev/full: No space left"):
        sink.flush(1)
    assert isinstance(sink.failure, OutputError)
    with pytest.raises(OutputError, match=r"/dev/full: No space left"):
        sink.close()
    sink.close()


def test_after_a_full_disk_no_event_goes_missing_in_silence(encoder: Encoder) -> None:
    sink = JsonlSink(path="/dev/full", encoder=encoder)
    sink.open()
    with pytest.raises(OutputError, match="No space left"):
        for index in range(10_000):
            sink.put(face_event(index))
    for call in (lambda: sink.put(face_event()), lambda: sink.put(track_event()), lambda: sink.flush(1), sink.close):
        with pytest.raises(OutputError, match="No space left"):
            call()
    sink.close()


def test_a_disk_that_is_full_at_the_end_is_told_by_close(encoder: Encoder) -> None:
    sink = JsonlSink(path="/dev/full", encoder=encoder)
    sink.open()
    sink.put(face_event())
    with pytest.raises(OutputError, match="No space left"):
        sink.close()
    sink.close()


def test_a_reader_that_leaves_ends_it_quietly(root_dir: Path) -> None:
    program = """
from ferstream.events.encode import Encoder, ModelRef
from ferstream.sinks.jsonl import JsonlSink
from ferstream.runtime.clock import SystemClock
from tests.support.builders import face_event
sink = JsonlSink(path="-", encoder=Encoder(node="n", boot_id="b", model=ModelRef("m", "1"), clock=SystemClock()))
sink.open()
for index in range(2000):
    sink.put(face_event(index))
sink.flush(1)
sink.close()
assert sink.reader_gone
"""
    with subprocess.Popen([sys.executable, "-c", program], cwd=root_dir, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stderr is not None
        child.stdout.close()
        assert child.stderr.read() == b""
    assert child.returncode == 0
