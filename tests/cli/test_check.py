"""``ferstream check`` on real parts: each planted fault is found, with what to do and the right exit code."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ferstream.cli import app
from ferstream.errors import ExitCode
from tests.support.brokers import Mosquitto, free_port
from tests.support.bundles import tiny_openvino_bundle
from tests.support.clips import write_clip, write_sound
from tests.support.logs import logging_restored

SECRET = "zirkelkastenschloss"

Check = Callable[..., Result]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small good recording."""
    return write_clip(tmp_path_factory.mktemp("clips") / "good.mp4")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small good model."""
    return tiny_openvino_bundle(tmp_path_factory.mktemp("models")).directory


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    for name in [name for name in os.environ if name.startswith("FERSTREAM_") or name == "CREDENTIALS_DIRECTORY"]:
        monkeypatch.delenv(name)
    with logging_restored():
        yield


@pytest.fixture
def check(tmp_path: Path, clip: Path, bundle: Path) -> Check:
    """Run ``check``: good settings with one thing changed, or a file's whole text."""

    def do(
        *,
        camera: str | None = None,
        mqtt: str = "",
        model: Path | str = bundle,
        http: str = "listen = '127.0.0.1:0'",
        rest: str = "",
        text: str | None = None,
    ) -> Result:
        file = tmp_path / "f.toml"
        cameras = camera if camera is not None else f'[[cameras]]\nname = "door"\nsource = "{clip}"\n'
        tables = f'[inference]\nmodel = "{model}"\n[mqtt]\n{mqtt}\n[http]\n{http}\n{rest}\n'
        file.write_text(cameras + tables if text is None else text)
        result = CliRunner().invoke(app, ["check", "-c", str(file), "--json"])
        assert SECRET not in result.output
        return result

    return do


def failures(result: Result) -> list[dict[str, Any]]:
    return [finding for finding in json.loads(result.stdout)["findings"] if finding["verdict"] == "FAIL"]


def the_failure(result: Result, code: ExitCode) -> dict[str, Any]:
    """The only failure; it has advice, and its exit code is the process's."""
    (found,) = failures(result)
    assert result.exit_code == code
    assert found["advice"]
    assert json.loads(result.stdout)["exit_code"] == code
    assert "\n" not in found["detail"]
    return found


def door(source: object, more: str = "") -> str:
    return f'[[cameras]]\nname = "door"\nsource = "{source}"\nconnect_timeout_s = 5\nread_timeout_s = 2\n{more}\n'


def test_all_is_well(check: Check) -> None:
    result = check()
    assert result.exit_code == 0, result.output
    found = {finding["part"]: finding["detail"] for finding in json.loads(result.stdout)["findings"]}
    assert list(found) == ["settings", "camera door", "broker", "detector", "model", "http", "outbox"]
    assert found["camera door"].startswith("96 x 64, 25 fps, h264 (yuv420p), first picture after ")
    assert "published and read back" in found["broker"]
    assert found["model"].startswith("tiny 1.0.0 on openvino")


def test_for_people_it_is_a_line_each_with_advice_below(check: Check, tmp_path: Path) -> None:
    check(camera=door(tmp_path / "none.mp4"))
    result = CliRunner().invoke(app, ["check", "-c", str(tmp_path / "f.toml")])
    lines = result.stdout.splitlines()
    assert lines[0].startswith("ok    settings        ")
    failed = next(number for number, line in enumerate(lines) if line.startswith("FAIL  camera door     "))
    assert lines[failed + 1].strip().startswith("-> ")
    assert lines[-1] == "1 of 7 failed"
    assert "\x1b" not in result.stdout


# -- settings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[detection]\nwidht = 3", "f.toml:2: detection.widht: unknown key; did you mean detection.width?"),
        ("[detection]\nwidth = '3'", 'f.toml:2: detection.width: expected a whole number, found "3"'),
        ("node = 'a'\nnode = 'b'", "f.toml:2: node: is given twice"),
        ("[mqtt]\npassword = 'zirkelkasten'", "f.toml:2: mqtt.password: a secret does not belong in this file"),
    ],
)
def test_wrong_settings(text: str, words: str, check: Check) -> None:
    assert words in the_failure(check(text=text), ExitCode.USAGE)["detail"]


def test_a_missing_settings_file(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["check", "-c", str(tmp_path / "none.toml"), "--json"])
    assert the_failure(result, ExitCode.USAGE)["detail"].startswith(f"{tmp_path}/none.toml: no such file")


def test_a_missing_secret_file(check: Check) -> None:
    found = the_failure(check(mqtt="password_file = 'none'"), ExitCode.USAGE)
    assert found["part"] == "secret"
    assert "mqtt.password_file" in found["detail"]
    assert "No such file" in found["detail"]


def test_a_secret_file_that_everybody_can_read(check: Check, tmp_path: Path) -> None:
    (tmp_path / "pw").write_text(SECRET)
    (tmp_path / "pw").chmod(0o644)
    result = check(mqtt="password_file = 'pw'")
    assert result.exit_code == 0
    (found,) = [found for found in json.loads(result.stdout)["findings"] if found["part"] == "secret"]
    assert (found["verdict"], found["advice"]) == ("warn", f"chmod 600 {tmp_path}/pw")


# -- cameras -------------------------------------------------------------------------------------


def test_a_missing_recording(check: Check, tmp_path: Path) -> None:
    assert "no such file" in the_failure(check(camera=door(tmp_path / "none.mp4")), ExitCode.SOURCE)["detail"]


def test_a_folder(check: Check, tmp_path: Path) -> None:
    assert "directory" in the_failure(check(camera=door(tmp_path)), ExitCode.SOURCE)["detail"]


@pytest.mark.parametrize(("name", "content"), [("text.mp4", b"hello, I am no video\n" * 50), ("empty.mp4", b"")])
def test_what_is_no_video(name: str, content: bytes, check: Check, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    assert name in the_failure(check(camera=door(tmp_path / name)), ExitCode.SOURCE)["detail"]


def test_a_truncated_video(check: Check, clip: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(clip.read_bytes()[:600])
    assert "cut.mp4" in the_failure(check(camera=door(cut)), ExitCode.SOURCE)["detail"]


def test_sound_without_picture(check: Check, tmp_path: Path) -> None:
    assert "no video" in the_failure(check(camera=door(write_sound(tmp_path / "sound.mp4"))), ExitCode.SOURCE)["detail"]


def test_nobody_listens_at_the_camera(check: Check) -> None:
    found = the_failure(check(camera=door(f"rtsp://u:{SECRET}@127.0.0.1:{free_port()}/s")), ExitCode.SOURCE)
    assert "refused" in found["detail"]


def test_an_unknown_host(check: Check) -> None:
    the_failure(check(camera=door("rtsp://camera.invalid/s")), ExitCode.SOURCE)


def test_a_wrong_password_of_a_camera(check: Check) -> None:
    with refusing() as port:
        found = the_failure(check(camera=door(f"http://user:{SECRET}@127.0.0.1:{port}/video")), ExitCode.SOURCE)
    assert "authenti" in found["detail"].lower()
    assert found["advice"].startswith("check username and password_file of camera door (or FERSTREAM_CAMERAS__DOOR__PASSWORD")


def test_a_camera_that_never_answers_does_not_keep_the_others(check: Check, clip: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hall = door(f"rtsp://127.0.0.1:{silent.getsockname()[1]}/s").replace("door", "hall").replace("= 5", "= 1")
        result = check(camera=f'{hall}[[cameras]]\nname = "door"\nsource = "{clip}"\n')
    found = the_failure(result, ExitCode.SOURCE)
    assert found["part"] == "camera hall"
    assert "connect_timeout_s" in found["advice"]


def test_a_webcam_that_is_not_there(check: Check) -> None:
    assert the_failure(check(camera=door("webcam:63")), ExitCode.SOURCE)["part"] == "camera door"


def test_a_disabled_camera_is_not_tried(check: Check) -> None:
    result = check(camera=door("none.mp4", "enabled = false"))
    assert result.exit_code == 0
    assert "skip" in {finding["verdict"] for finding in json.loads(result.stdout)["findings"]}


# -- broker --------------------------------------------------------------------------------------


def test_no_broker(check: Check) -> None:
    found = the_failure(check(mqtt=f'url = "mqtt://u:{SECRET}@127.0.0.1:{free_port()}"'), ExitCode.BROKER)
    assert "connection refused" in found["detail"]


def test_an_unknown_broker(check: Check) -> None:
    found = failures(check(mqtt='url = "mqtts://broker.invalid"'))
    assert "broker.invalid" in found[0]["detail"]


def test_a_wrong_password_of_the_broker(check: Check, tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path / "mosquitto", anonymous=False).start()
    try:
        found = the_failure(check(mqtt=f'url = "mqtt://u:{SECRET}@127.0.0.1:{broker.port}"'), ExitCode.BROKER)
    finally:
        broker.end()
    assert "not authori" in found["detail"].lower()
    assert found["advice"].startswith("check mqtt.username and mqtt.password_file")


@pytest.mark.parametrize("protocol", ["5", '"3.1.1"'])
def test_a_real_broker(protocol: str, check: Check, tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path / "mosquitto").start()
    try:
        result = check(mqtt=f'url = "{broker.url}"\nprotocol = {protocol}')
    finally:
        broker.end()
    assert result.exit_code == 0, result.output
    assert f"127.0.0.1:{broker.port}: published and read back" in result.stdout


def test_a_certificate_file_that_is_none(check: Check, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    found = the_failure(check(mqtt='url = "mqtts://127.0.0.1:1"\nca_file = "ca.pem"'), ExitCode.USAGE)
    assert "mqtt.ca_file" in found["detail"]


def test_an_open_line_to_the_broker_is_worth_a_warning(check: Check) -> None:
    from ferstream.app.checks.broker import _exposed
    from ferstream.settings import MqttSettings, Settings

    def warned(**fields: object) -> list[str]:
        return [finding.detail for finding in _exposed(Settings(mqtt=MqttSettings.model_validate(fields)))]

    assert warned() == warned(url="mqtt://127.0.0.1") == warned(url="mqtts://broker.lan") == []
    assert warned(url="mqtt://broker.lan") == ["mqtt:// is not encrypted: the network can read all events"]
    assert warned(url="ws://u:p@broker.lan") == ["ws:// is not encrypted: the network can read the password and all events"]
    assert warned(url="mqtts://broker.lan", insecure=True) == ["mqtt.insecure is true: the broker's certificate is not verified"]


# -- models --------------------------------------------------------------------------------------


def spoilt(bundle: Path, target: Path, spoil: Callable[[Path], None]) -> Path:
    shutil.copytree(bundle, target)
    spoil(target)
    return target


def append(folder: Path) -> None:
    with (folder / "openvino.bin").open("ab") as stream:
        stream.write(b"x")


def edit(**fields: object) -> Callable[[Path], None]:
    def do(folder: Path) -> None:
        manifest = json.loads((folder / "manifest.json").read_text())
        for path, value in fields.items():
            assert path in manifest, list(manifest)
            manifest[path] = value
        (folder / "manifest.json").write_text(json.dumps(manifest))

    return do


def test_a_model_with_a_wrong_hash(check: Check, bundle: Path, tmp_path: Path) -> None:
    model = spoilt(bundle, tmp_path / "m", append)
    assert "sha256" in the_failure(check(model=model), ExitCode.MODEL)["detail"]


def test_a_model_with_wrong_labels(check: Check, bundle: Path, tmp_path: Path) -> None:
    model = spoilt(bundle, tmp_path / "m", edit(labels=["happy", "sad"]))
    assert "label" in the_failure(check(model=model), ExitCode.MODEL)["detail"]


def test_a_model_with_an_unknown_alignment(check: Check, bundle: Path, tmp_path: Path) -> None:
    model = spoilt(bundle, tmp_path / "m", edit(alignment="guessed-9"))
    assert "alignment" in the_failure(check(model=model), ExitCode.MODEL)["detail"]


def test_a_model_that_is_not_there(check: Check) -> None:
    found = the_failure(check(model="emotion-none"), ExitCode.MODEL)
    assert "emotion-none" in found["detail"]


@pytest.mark.parametrize("weights", ["none.onnx", "text.onnx"])
def test_detector_weights_that_are_none(weights: str, check: Check, tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("no network")
    found = the_failure(check(rest=f'[detection]\nmodel = "{weights}"'), ExitCode.MODEL)
    assert (found["part"], weights in found["detail"]) == ("detector", True)


# -- this machine --------------------------------------------------------------------------------


def test_a_port_in_use(check: Check) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = the_failure(check(http=f'listen = "127.0.0.1:{port}"'), ExitCode.ADDRESS_IN_USE)
    assert found["detail"].startswith(f"http.listen = 127.0.0.1:{port}: port {port} is in use by ")
    assert f"(pid {os.getpid()})" in found["detail"]


def test_an_address_of_another_machine(check: Check, tmp_path: Path) -> None:
    (tmp_path / "t").touch(mode=0o600)
    (tmp_path / "t").write_text(SECRET)
    found = the_failure(check(http='listen = "192.0.2.1:1"\ntoken_file = "t"'), ExitCode.USAGE)
    assert "http.listen = 192.0.2.1:1" in found["detail"]


def test_an_open_port_without_a_token(check: Check) -> None:
    assert "needs a token" in the_failure(check(http='listen = "0.0.0.0:0"'), ExitCode.USAGE)["detail"]


def test_a_token_that_could_be_guessed(check: Check, tmp_path: Path) -> None:
    (tmp_path / "t").touch(mode=0o600)
    (tmp_path / "t").write_text("short")
    found = the_failure(check(http='token_file = "t"'), ExitCode.USAGE)
    assert "at least 16" in found["detail"]


def test_no_pages_is_no_failure(check: Check) -> None:
    assert check(http="enabled = false").exit_code == 0


def test_an_outbox_that_cannot_be_written(check: Check, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = the_failure(check(rest=f'[outbox]\npath = "{tmp_path}/file/box"'), ExitCode.USAGE)
    assert (found["part"], str(tmp_path / "file") in found["detail"]) == ("outbox", True)


def test_an_outbox_without_room(check: Check) -> None:
    found = the_failure(check(rest=f"[outbox]\nmax_bytes = {10**18}"), ExitCode.USAGE)
    assert "free in" in found["detail"]


def test_an_outbox_in_memory_is_said(check: Check) -> None:
    assert "do not survive a restart" in check(rest='[outbox]\npath = "memory"').stdout


def test_the_first_failure_gives_the_exit_code_and_all_are_told(check: Check, tmp_path: Path) -> None:
    result = check(camera=door(tmp_path / "none.mp4"), model="emotion-none", mqtt=f'url = "mqtt://127.0.0.1:{free_port()}"')
    assert result.exit_code == ExitCode.SOURCE
    assert [finding["part"] for finding in failures(result)] == ["camera door", "broker", "model"]


class refusing:
    """An HTTP server that lets nobody in."""

    def __enter__(self) -> int:
        class Refuse(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="x"')
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Say nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refuse)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        return int(self._server.server_address[1])

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)
