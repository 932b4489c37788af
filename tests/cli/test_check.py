"""``ferstream check`` as a whole: the report, the exit code, and faults in the settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from ferstream.app.checks import read_settings
from ferstream.errors import ExitCode
from tests.support.check_command import SECRET, RunCheck, door, failures, findings, only_failure, run_check
from tests.support.ports import free_port


def test_a_working_setup_has_no_failure(check: RunCheck) -> None:
    result = check()
    assert result.exit_code == 0, result.output
    found = {finding["part"]: finding["detail"] for finding in findings(result)}
    assert list(found) == ["settings", "camera door", "broker", "detector", "model", "http", "outbox"]
    assert found["camera door"].startswith("96 x 64, 25 fps, h264 (yuv420p), first frame after ")
    assert "published and read back" in found["broker"]
    assert found["model"].startswith("tiny 1.0.0 on openvino")


def test_the_text_report_has_one_line_for_each_finding_and_its_advice_below(check: RunCheck, tmp_path: Path) -> None:
    check(camera=door(tmp_path / "none.mp4"))
    result = run_check(tmp_path / "f.toml")
    lines = result.stdout.splitlines()
    assert lines[0].startswith("ok    settings        ")
    failed = next(number for number, line in enumerate(lines) if line.startswith("FAIL  camera door     "))
    assert lines[failed + 1].strip().startswith("-> ")
    assert lines[-1] == "1 of 7 failed"
    assert "\x1b" not in result.stdout


def test_the_first_failure_gives_the_exit_code_and_all_failures_are_reported(check: RunCheck, tmp_path: Path) -> None:
    result = check(camera=door(tmp_path / "none.mp4"), model="emotion-none", mqtt=f'url = "mqtt://127.0.0.1:{free_port()}"')
    assert result.exit_code == ExitCode.SOURCE
    assert [finding["part"] for finding in failures(result)] == ["camera door", "broker", "model"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[detection]\nwidht = 3", "f.toml:2: detection.widht: unknown key; did you mean detection.width?"),
        ("[detection]\nwidth = '3'", 'f.toml:2: detection.width: expected a whole number, found "3"'),
        ("node = 'a'\nnode = 'b'", "f.toml:2: node: is given twice"),
        ("[mqtt]\npassword = 'zirkelkasten'", "f.toml:2: mqtt.password: a secret does not belong in this file"),
    ],
)
def test_a_wrong_setting_is_a_failure(text: str, words: str, check: RunCheck) -> None:
    assert words in only_failure(check(text=text), ExitCode.USAGE)["detail"]


def test_a_missing_settings_file(tmp_path: Path) -> None:
    result = run_check(tmp_path / "none.toml", "--json")
    assert only_failure(result, ExitCode.USAGE)["detail"].startswith(f"{tmp_path}/none.toml: no such file")


def test_a_missing_secret_file(check: RunCheck) -> None:
    found = only_failure(check(mqtt="password_file = 'none'"), ExitCode.USAGE)
    assert found["part"] == "secret"
    assert "mqtt.password_file" in found["detail"]
    assert "No such file" in found["detail"]


def test_a_secret_file_that_everybody_can_read(check: RunCheck, tmp_path: Path) -> None:
    (tmp_path / "pw").write_text(SECRET)
    (tmp_path / "pw").chmod(0o644)
    result = check(mqtt="password_file = 'pw'")
    assert result.exit_code == 0
    (found,) = [found for found in findings(result) if found["part"] == "secret"]
    assert (found["verdict"], found["advice"]) == ("warn", f"chmod 600 {tmp_path}/pw")


def test_a_password_in_a_url_of_the_file_is_a_warning_that_names_the_key(check: RunCheck, clip: Path) -> None:
    camera = (
        f"[[cameras]]\nname = 'door'\nsource = '{clip}'\n[[cameras]]\nname = 'hall'\nsource = 'rtsp://u:{SECRET}@cam/s'\nenabled = false\n"
    )
    (found,) = [finding for finding in findings(check(camera=camera, mqtt="url = 'embedded'")) if "the URL" in finding["detail"]]
    assert (found["verdict"], found["part"]) == ("warn", "settings")
    assert "cameras.hall.source: the URL has a password" in found["detail"]
    assert "set cameras.hall.password_file" in found["advice"]


def test_a_password_that_is_not_encoded_is_a_failure_that_says_how(check: RunCheck) -> None:
    found = only_failure(check(text=f"[[cameras]]\nname = 'door'\nsource = 'rtsp://u:{SECRET}#1@cam/s'\n"), ExitCode.USAGE)
    assert 'encode "#" as %23, or use password_file' in found["detail"]


def test_a_missing_token_is_advised_in_whole_words(check: RunCheck) -> None:
    found = only_failure(check(http="listen = '0.0.0.0:0'", mqtt="url = 'embedded'"), ExitCode.USAGE)
    assert "***" not in found["detail"] + found["advice"]


def test_cameras_from_variables_are_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    settings, found = read_settings(None, {"FERSTREAM_CAMERAS__DOOR__SOURCE": "rtsp://cam/s", "FERSTREAM_OUTBOX__PATH": "memory"})
    assert settings is not None
    assert found[0].detail == "no settings file: environment variables and defaults; 1 camera"
