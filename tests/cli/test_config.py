"""``ferstream config``."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ferstream.cli import app


def run(*words: str) -> str:
    result = CliRunner().invoke(app, ["config", *words])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_reference_and_schema_equal_the_files_in_config(root_dir: Path) -> None:
    assert run("reference") == (root_dir / "config" / "ferstream.toml").read_text()
    assert run("schema") == (root_dir / "config" / "ferstream.schema.json").read_text()
    assert json.loads(run("schema"))["additionalProperties"] is False


def test_keys_are_listed_with_their_variables() -> None:
    lines = dict(line.split() for line in run("keys").splitlines())
    assert lines["mqtt.url"] == "FERSTREAM_MQTT__URL"
    assert lines["cameras.source"] == "FERSTREAM_CAMERAS__<NAME>__SOURCE"


def test_show_prints_the_effective_value_and_its_origin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "f.toml"
    file.write_text('[mqtt]\nurl = "mqtt://u:zirkelkasten@broker.lan"\n')
    monkeypatch.setenv("FERSTREAM_LOG__LEVEL", "debug")
    text = run("show", "-c", str(file))
    assert "zirkelkasten" not in text
    shown = tomllib.loads(text)
    assert (shown["mqtt"]["url"], shown["mqtt"]["username"], shown["log"]["level"]) == ("mqtt://broker.lan", "u", "debug")
    assert f"# {file}:2\n" in text
    assert "# environment FERSTREAM_LOG__LEVEL\n" in text


@pytest.mark.parametrize("command", [["run"], ["check"], ["config", "show"]])
def test_wrong_settings_are_one_line_and_exit_2_without_a_traceback(command: list[str], tmp_path: Path) -> None:
    file = tmp_path / "f.toml"
    file.write_text("[detection]\nwidht = 3\n")
    words = [sys.executable, "-m", "ferstream", *command, "-c", str(file)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=100, check=False, cwd=tmp_path)
    assert done.returncode == 2
    said = (done.stdout + done.stderr).splitlines()
    assert f"{file}:2: detection.widht: unknown key; did you mean detection.width?" in said[0]
    assert "Traceback" not in done.stderr


def test_settings_and_logs_stay_light() -> None:
    heavy = ("tensorflow", "openvino", "cv2", "matplotlib", "av", "paho", "uvicorn", "numpy")
    ours = "ferstream.settings, ferstream.logs, ferstream.cli.check, ferstream.cli.config"
    code = f"import sys, {ours}; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=True)
    assert done.stdout.strip() == "[]"
