"""The command that a message advises starts this program as it was started."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ferstream.runtime.program import command, install_command


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A script named ferstream in a folder that is not on the PATH."""
    script = tmp_path / "a venv" / "bin" / "ferstream"
    script.parent.mkdir(parents=True)
    script.touch(mode=0o755)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    return script


def started(monkeypatch: pytest.MonkeyPatch, *argv: object, python: str = "/usr/bin/python3") -> None:
    monkeypatch.setattr(sys, "argv", [str(word) for word in argv])
    monkeypatch.setattr(sys, "orig_argv", [python, *sys.argv])


def test_a_script_that_is_not_on_the_path_is_named_by_its_path(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started(monkeypatch, installed)
    assert command("check") == f"'{installed}' check"
    monkeypatch.chdir(installed.parent.parent)
    started(monkeypatch, "bin/ferstream")
    assert command("check") == "bin/ferstream check"


def test_a_script_on_the_path_is_named_by_its_name(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{installed.parent}:/usr/bin")
    started(monkeypatch, installed)
    assert command("replay", "a clip.mp4") == "ferstream replay 'a clip.mp4'"


def test_another_program_of_the_name_on_the_path_is_not_meant(installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other" / "ferstream"
    other.parent.mkdir()
    other.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(other.parent))
    started(monkeypatch, installed)
    assert command("check") == f"'{installed}' check"


def test_a_module_is_started_with_the_same_python(monkeypatch: pytest.MonkeyPatch) -> None:
    started(monkeypatch, "/somewhere/ferstream/__main__.py", python=".venv/bin/python")
    assert command("check") == ".venv/bin/python -m ferstream check"


def test_in_another_program_the_plain_name_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    started(monkeypatch, "/usr/bin/pytest")
    assert command("check") == "ferstream check"


def test_the_install_command_has_the_versions_of_the_extra() -> None:
    advice = install_command("onnxruntime", "keras", "unheard-of", extra="train")

    assert advice.startswith(f"uv pip install --python {sys.executable} ")
    assert "'onnxruntime>=1.22' 'keras<4,>=3.12' 'unheard-of'" in advice
    assert "it is the extra train" in advice
    assert "ferstream[" not in advice


def test_a_release_of_the_service_is_extended_by_its_installer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = tmp_path / "releases" / "0123456789ab"
    release.mkdir(parents=True)
    (release / ".complete").touch()
    monkeypatch.setattr(sys, "prefix", str(release))
    assert install_command("confluent-kafka", extra="kafka").startswith("sudo deploy/install.sh --extra kafka")
