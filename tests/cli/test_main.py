"""The command line as a whole: quick to start, one line per failure, exit codes that mean something."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from types import ModuleType

import pytest

from ferstream import __version__
from ferstream import errors as tree
from ferstream.__main__ import main
from ferstream.cli import COMMANDS
from ferstream.errors import ExitCode, FerstreamError

HEAVY = ("tensorflow", "keras", "openvino", "cv2", "matplotlib", "av", "nncf", "onnx")

_HELPS = """
import contextlib, io, json, sys
from ferstream.__main__ import main
heavy = {heavy!r}
seen = {{}}
for arguments in {calls!r}:
    sys.argv = ["ferstream", *arguments]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            main()
        except SystemExit as end:
            code = end.code
    seen[" ".join(arguments)] = [code, out.getvalue(), [name for name in heavy if name in sys.modules]]
print(json.dumps(seen))
"""


def python(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def helps() -> dict[str, tuple[int, str, list[str]]]:
    """Exit code, text and heavy modules after the help of everything, one after the other in one process."""
    calls = [["--help"], ["--version"], *([name, "--help"] for name in COMMANDS)]
    found = json.loads(python(_HELPS.format(heavy=HEAVY, calls=calls)))
    return {call: (code, text, modules) for call, (code, text, modules) in found.items()}


class TestQuickStart:
    """Nothing heavy is imported before it is used."""

    def test_the_package_itself_imports_nothing(self) -> None:
        loaded = python("import sys, ferstream; print(*sys.modules)").split()
        assert not {name.partition(".")[0] for name in loaded} & {*HEAVY, "numpy", "typer", "pydantic"}

    def test_the_list_of_commands_imports_none_of_them(self) -> None:
        call = "import sys; sys.argv = ['ferstream', '--help']\nfrom ferstream.__main__ import main\n"
        loaded = set(python(call + "try: main()\nexcept SystemExit: print(*sys.modules)").split())
        assert not loaded & {where.partition(":")[0] for where, _ in COMMANDS.values()}
        assert "numpy" not in loaded

    @pytest.mark.parametrize("call", ["--help", "--version", *(f"{name} --help" for name in COMMANDS)])
    def test_no_help_imports_a_heavy_library(self, helps: dict[str, tuple[int, str, list[str]]], call: str) -> None:
        code, text, modules = helps[call]
        assert code == 0
        assert text.strip()
        assert modules == []


class TestHelp:
    """What people read first."""

    def test_every_command_is_listed_with_its_line(self, helps: dict[str, tuple[int, str, list[str]]]) -> None:
        text = " ".join(helps["--help"][1].replace("│", " ").split())
        for name, (_, line) in COMMANDS.items():
            assert f"{name} {line}" in text

    def test_version_is_printed(self, helps: dict[str, tuple[int, str, list[str]]]) -> None:
        assert helps["--version"][1].strip() == f"ferstream {__version__}"

    @pytest.mark.parametrize("name", COMMANDS)
    def test_a_command_s_help_names_it_and_has_no_rest_of_code(self, helps: dict[str, tuple[int, str, list[str]]], name: str) -> None:
        text = helps[f"{name} --help"][1]
        assert f"ferstream {name}" in text
        assert "Raises:" not in text
        assert "Args:" not in text


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int | str | None:
    """The exit code of one call in this process."""
    monkeypatch.setattr(sys, "argv", ["ferstream", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code


@pytest.fixture
def boom(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Registers a command ``boom`` that raises what it is given."""

    def register(error: BaseException) -> None:
        def command() -> None:
            raise error

        module = ModuleType("boom_command")
        module.command = command  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "boom_command", module)
        monkeypatch.setitem(COMMANDS, "boom", ("boom_command:command", "Fails."))

    return register


def concrete() -> list[type[FerstreamError]]:
    """Every class of the error tree."""
    return [cls for cls in vars(tree).values() if isinstance(cls, type) and issubclass(cls, FerstreamError)]


class TestEnds:
    """How a call ends."""

    @pytest.mark.parametrize("error", concrete())
    def test_a_known_error_is_one_line_and_its_exit_code(
        self,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        boom: Callable[[BaseException], None],
        error: type[FerstreamError],
    ) -> None:
        boom(error("door: no answer in 5 s; is it switched on?"))
        assert run(monkeypatch, "boom") == error.exit_code
        out, err = capsys.readouterr()
        assert (out, err) == ("", "ferstream: door: no answer in 5 s; is it switched on?\n")

    def test_ctrl_c_prints_nothing_and_exits_with_130(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], boom: Callable[[BaseException], None]
    ) -> None:
        boom(KeyboardInterrupt())
        assert run(monkeypatch, "boom") == ExitCode.INTERRUPTED
        assert "Traceback" not in capsys.readouterr().err

    def test_an_unknown_error_is_a_traceback_without_secrets(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], boom: Callable[[BaseException], None]
    ) -> None:
        boom(ZeroDivisionError("rtsp://user:zirkelkasten@door/stream"))
        assert run(monkeypatch, "boom") == ExitCode.INTERNAL
        err = capsys.readouterr().err
        assert "Traceback" in err
        assert "ZeroDivisionError" in err
        assert "zirkelkasten" not in err

    @pytest.mark.parametrize("arguments", [("nosuch",), ("--nosuch",), ("replay",), ("replay", "--nosuch", "x.mp4")])
    def test_wrong_usage_is_reported(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
    ) -> None:
        assert run(monkeypatch, *arguments) == ExitCode.USAGE
        assert "Usage:" in capsys.readouterr().err
