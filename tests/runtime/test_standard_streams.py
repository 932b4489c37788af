"""Commands whose reader leaves, or whose disk is full."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

from ferstream.errors import OutputError
from ferstream.runtime.standard_streams import SafeStream
from tests.support.daemon import FERSTREAM, clean_environment


class Failing(io.StringIO):
    """A stream whose writes fail."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error

    def write(self, text: str, /) -> int:
        raise self.error


def test_after_a_closed_pipe_writes_are_discarded() -> None:
    stream = SafeStream(Failing(BrokenPipeError()), "standard output")
    assert stream.write("abc") == 3
    assert stream.closed_by_reader


def test_a_full_disk_is_an_error_that_names_the_stream() -> None:
    with pytest.raises(OutputError, match="cannot write to standard output: No space left"):
        SafeStream(Failing(OSError(28, "No space left on device")), "standard output").write("abc")


def piped(*words: object, lines: int, stderr: bool = False) -> tuple[int, str]:
    """Run a command whose reader leaves after some lines; return its exit code and what it wrote to the other stream."""
    command = [*FERSTREAM, *map(str, words)]
    streams = {"stderr": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env=clean_environment(), text=True, **streams) as process:  # type: ignore[call-overload]
        read, other = (process.stderr, process.stdout) if stderr else (process.stdout, process.stderr)
        for _ in range(lines):
            read.readline()
        read.close()
        rest = other.read()
        return process.wait(120), rest


@pytest.mark.parametrize(("words", "lines"), [(("--help",), 1), (("schema",), 1), (("config", "reference"), 0), (("config", "schema"), 3)])
def test_a_command_ends_quietly_when_its_reader_leaves(words: tuple[str, ...], lines: int) -> None:
    assert piped(*words, lines=lines) == (0, "")


def test_check_with_a_failing_camera_ends_with_its_own_exit_code_when_its_reader_leaves(tmp_path: Path) -> None:
    file = tmp_path / "f.toml"
    cameras = "".join(f"[[cameras]]\nname = 'c{n}'\nsource = '{tmp_path}/none.mp4'\n" for n in range(3))
    file.write_text(f"{cameras}[mqtt]\nurl = 'mqtt://127.0.0.1:1'\n[http]\nenabled = false\n[outbox]\npath = 'memory'\n")
    assert piped("check", "-c", file, lines=2) == (3, "")


def test_a_full_disk_is_one_line_and_exit_8() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*FERSTREAM, "schema"], stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=clean_environment())
    assert (done.returncode, done.stderr) == (8, "ferstream: cannot write to standard output: No space left on device\n")


def test_text_that_the_encoding_has_not_is_written_as_escapes() -> None:
    code = "import sys\nfrom ferstream.runtime.standard_streams import safe_standard_streams\n"
    code += "with safe_standard_streams():\n    print('caf\\udce9 \\u65e5')\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=clean_environment(PYTHONIOENCODING="ascii"))
    assert done.stdout == b"caf\\udce9 \\u65e5\n"
