"""Where secrets come from, and that errors never show them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ferstream.runtime.redaction import forget_secrets, redact
from ferstream.settings import Settings, load, load_settings
from ferstream.settings.secrets import readable_by_others, secret_files

from .conftest import ErrorLines, Reader

DOOR = '[[cameras]]\nname = "front-door"\nsource = "rtsp://cam/s"\n'


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    forget_secrets()


def secret(settings: Settings) -> tuple[str | None, str | None, str | None]:
    found = (settings.cameras[0].password, settings.mqtt.password, settings.http.token)
    camera, mqtt, http = (None if one is None else one.get_secret_value() for one in found)
    return camera, mqtt, http


def test_secrets_come_from_the_files_that_keys_name(tmp_path: Path, read: Reader) -> None:
    for name in ("cam", "mq", "tok"):
        (tmp_path / name).write_text(f"{name}-secret-of-some-length\n")
    text = f'{DOOR}password_file = "cam"\n[mqtt]\npassword_file = "mq"\n[http]\ntoken_file = "tok"\n'
    assert secret(read(text)) == tuple(f"{name}-secret-of-some-length" for name in ("cam", "mq", "tok"))


def test_secrets_come_from_systemd_credentials(tmp_path: Path, read: Reader) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    for name in ("camera_front-door_password", "mqtt_password", "http_token"):
        (credentials / name).write_text(f"{name}-as-given!")
    found = secret(read(DOOR, {"CREDENTIALS_DIRECTORY": str(credentials)}))
    assert found == ("camera_front-door_password-as-given!", "mqtt_password-as-given!", "http_token-as-given!")


def test_the_environment_wins_over_file_and_credential(tmp_path: Path, read: Reader) -> None:
    (tmp_path / "mqtt_password").write_text("credential")
    (tmp_path / "mq").write_text("file-one")
    text = f'{DOOR}[mqtt]\npassword_file = "mq"\n'
    environ = {
        "CREDENTIALS_DIRECTORY": str(tmp_path),
        "FERSTREAM_MQTT__PASSWORD": "variable",
        "FERSTREAM_CAMERAS__FRONT_DOOR__PASSWORD": "12345",
        "FERSTREAM_HTTP__TOKEN": "tok-tok-tok-tok-tok",
    }
    assert secret(read(text, environ)) == ("12345", "variable", "tok-tok-tok-tok-tok")
    del environ["FERSTREAM_MQTT__PASSWORD"]
    assert secret(read(text, environ))[1] == "file-one"


def test_only_the_last_line_end_of_a_secret_file_is_removed(tmp_path: Path, read: Reader) -> None:
    (tmp_path / "mq").write_bytes(b" a b\n\r\n")
    assert secret(read('[mqtt]\npassword_file = "mq"\n'))[1] == " a b\n"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"\xff", "is not UTF-8 text"),
        (b"x" * 70_000, "is too large for a secret"),
    ],
)
def test_a_secret_file_that_cannot_be_used_is_reported_with_key_and_line(
    content: bytes | None, text: str, tmp_path: Path, error_lines: ErrorLines
) -> None:
    if content is not None:
        (tmp_path / "pw").write_bytes(content)
    assert error_lines(f'{DOOR}password_file = "pw"') == [f"f.toml:4: cameras.front-door.password_file: pw {text}"]


@pytest.mark.parametrize(
    ("text", "key", "beside", "variable"),
    [
        ("[mqtt]\npassword = 'hunter2'", "f.toml:2: mqtt.password", "mqtt.password_file", "FERSTREAM_MQTT__PASSWORD"),
        ("[http]\ntoken = 'hunter2'", "f.toml:2: http.token", "http.token_file", "FERSTREAM_HTTP__TOKEN"),
        (
            f"{DOOR}password = 'hunter2'",
            "f.toml:4: cameras.front-door.password",
            "cameras.front-door.password_file",
            "FERSTREAM_CAMERAS__FRONT_DOOR__PASSWORD",
        ),
    ],
)
def test_a_secret_in_the_settings_file_is_an_error_with_a_remedy(
    text: str, key: str, beside: str, variable: str, error_lines: ErrorLines
) -> None:
    (line,) = error_lines(text)
    assert (
        line == f"{key}: a secret does not belong in this file; put it into a file of its own and name that in {beside}, or set {variable}"
    )


def test_a_secret_of_the_wrong_type_is_not_shown(error_lines: ErrorLines) -> None:
    lines = error_lines("[mqtt]\npassword = 123456789\nurl = 'mqtt://u:hunter2@'\n")
    assert len(lines) == 3
    assert not any(secret in line for line in lines for secret in ("123456789", "hunter2"))


def test_secrets_are_registered_with_the_redactor(read: Reader) -> None:
    read("", {"FERSTREAM_MQTT__PASSWORD": "zirkelkasten"})
    assert redact("the zirkelkasten is open") == "the *** is open"


def test_secrets_can_be_left_unread(tmp_path: Path) -> None:
    (tmp_path / "f.toml").write_text('[mqtt]\npassword_file = "none"')
    assert load(tmp_path / "f.toml", environ={}, secrets=False).settings.mqtt.password is None


def test_an_address_open_to_the_network_needs_a_token(error_lines: ErrorLines, read: Reader) -> None:
    text = '[http]\nlisten = "0.0.0.0:9108"\n'
    (line,) = error_lines(text)
    assert line.startswith("f.toml:2: http.listen: 0.0.0.0:9108 is open to the network and needs a token; name a file with one in ")
    assert read(text, {"FERSTREAM_HTTP__TOKEN": "long-enough-by-now"}).http.token is not None
    assert read(f"{text}enabled = false").http.enabled is False


def test_secret_files_are_named_with_their_keys(tmp_path: Path) -> None:
    file = tmp_path / "f.toml"
    mqtt = '[mqtt]\nurl = "mqtts://h"\npassword_file = "b"\ncert_file = "e"\nkey_file = "c"\n'
    file.write_text(f'{DOOR}password_file = "a"\n{mqtt}[http]\ntoken_file = "d"')
    found = dict(secret_files(load(file, environ={}, secrets=False).settings))
    assert found == {
        "cameras.front-door.password_file": tmp_path / "a",
        "mqtt.password_file": tmp_path / "b",
        "mqtt.key_file": tmp_path / "c",
        "http.token_file": tmp_path / "d",
    }


def test_files_that_all_users_can_read_are_recognised(tmp_path: Path) -> None:
    file = tmp_path / "pw"
    file.touch(mode=0o600)
    assert not readable_by_others(file)
    file.chmod(0o644)
    assert readable_by_others(file)


def test_the_process_environment_is_read_when_none_is_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FERSTREAM_NODE", "from-env")
    (tmp_path / "f.toml").write_text("")
    assert load_settings(tmp_path / "f.toml").node == "from-env"


def test_a_credential_without_permission_is_an_error(monkeypatch: pytest.MonkeyPatch, error_lines: ErrorLines, tmp_path: Path) -> None:
    def refuse(self: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_file", refuse)
    (line,) = error_lines(DOOR + "[http]\nenabled = false\n[mqtt]\npassword_file = 'none'", {"FERSTREAM_HTTP__TOKEN": "token"})
    assert line == "f.toml:7: mqtt.password_file: none cannot be read: No such file or directory"
    lines = error_lines(DOOR, {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert len(lines) == 5
    assert all(line.endswith("cannot be read: Permission denied") for line in lines)
