"""Secrets planted in settings, variables and files come out nowhere: not in logs, pages, topics, errors or reports."""

from __future__ import annotations

import subprocess
import sys
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path
from urllib.parse import quote

import pytest

from ferstream.sinks.mqtt.connection import Incoming
from tests.support.brokers import Mosquitto, Subscriber
from tests.support.daemon import FERSTREAM, RunningDaemon, clean_environment, ferstream
from tests.support.ports import free_port

URL_PASSWORD, FILE_PASSWORD, VARIABLE_PASSWORD, BROKER_PASSWORD = "zirkel-Ein5", "kasten:Zwei/6", "leiter Drei@7", "wasser'Vier\"8"
QUERY_TOKEN, PAGE_TOKEN, PATH_PASSWORD = "baum0fuenf9", "stein0sechs0", "wolke0sieben7"
PLANTED = (URL_PASSWORD, FILE_PASSWORD, VARIABLE_PASSWORD, BROKER_PASSWORD, QUERY_TOKEN, PAGE_TOKEN, PATH_PASSWORD)


def forms(secret: str) -> set[str]:
    """How it might be written where it came out."""
    return {secret, quote(secret), quote(secret, safe=""), repr(secret)[1:-1], secret.replace('"', '\\"')}


def assert_nothing_came_out(text: str) -> None:
    assert not [form for secret in PLANTED for form in forms(secret) if form in text]


def settings(folder: Path, broker_url: str) -> str:
    (folder / "cam").write_text(FILE_PASSWORD + "\n")
    (folder / "token").write_text(PAGE_TOKEN)
    for name in ("cam", "token"):
        (folder / name).chmod(0o600)
    nobody = free_port()
    return f"""
[[cameras]]
name = "url"
source = "rtsp://viewer:{URL_PASSWORD}@127.0.0.1:{nobody}/admin/{PATH_PASSWORD}/ch1?loginuse=viewer&loginpas={QUERY_TOKEN}"
[[cameras]]
name = "file"
source = "rtsp://viewer@127.0.0.1:{nobody}/s"
password_file = "cam"
[[cameras]]
name = "variable"
source = "http://viewer@127.0.0.1:{nobody}/s"
[[cameras]]
name = "demo"
source = "demo:"
[mqtt]
url = "{broker_url}"
username = "edge"
[outbox]
path = "box"
[runtime]
shutdown_timeout_s = 2
"""


def environment() -> dict[str, str]:
    return {
        "FERSTREAM_CAMERAS__VARIABLE__PASSWORD": VARIABLE_PASSWORD,
        "FERSTREAM_MQTT__PASSWORD": BROKER_PASSWORD,
        "FERSTREAM_LOG__LEVEL": "debug",
    }


def tells_of_refusal(camera: str, messages: list[Incoming]) -> bool:
    return any(m.topic.endswith(f"/{camera}/state") and b"refused" in m.payload for m in messages)


@pytest.mark.timeout(180)
def test_a_running_daemon_shows_no_secret(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path / "mosquitto").start()
    try:
        with (
            Subscriber(broker.url) as subscriber,
            RunningDaemon(tmp_path, settings(tmp_path, broker.url), program=None, **environment()) as daemon,
        ):
            subscriber.wait(lambda messages: any(m.topic.endswith("/demo/face") for m in messages), 100)
            for camera in ("url", "file", "variable"):
                subscriber.wait(partial(tells_of_refusal, camera))
            pages = "".join(page(daemon.port, name) for name in ("/", "/metrics", "/readyz", "/healthz"))
            daemon.end()
        assert_nothing_came_out(daemon.log)
        assert_nothing_came_out(pages)
        assert_nothing_came_out("".join(m.topic + m.payload.decode() for m in subscriber.messages))
        assert "***" in daemon.log
    finally:
        broker.end()


@pytest.mark.timeout(180)
def test_reports_and_errors_show_no_secret(tmp_path: Path) -> None:
    file = tmp_path / "f.toml"
    file.write_text(
        settings(tmp_path, f"mqtt://edge:{URL_PASSWORD}@127.0.0.1:{free_port()}") + '[http]\nlisten = "0.0.0.0:0"\ntoken_file = "token"\n'
    )
    said = ""
    for words in (["check"], ["config", "show"], ["run", "--seconds", "1"]):
        done = subprocess.run(
            [*FERSTREAM, *words, "-c", str(file)],
            env=clean_environment(**environment()),
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        said += done.stdout + done.stderr
    in_the_file = f"password = '{FILE_PASSWORD}'\n[outbox]\nurl = 'mqtt://u:{URL_PASSWORD}@h'"
    file.write_text(file.read_text().replace("[outbox]", in_the_file))
    wrong = ferstream("run", "-c", file)
    assert wrong.returncode == 2
    assert_nothing_came_out(said + wrong.stdout + wrong.stderr)
    assert "connection refused" in said


HEAD = """
import os, sys, threading
from ferstream.runtime.redaction import register_secret
secret = os.environ["PLANTED"]
register_secret(secret)
def fall():
    raise ValueError(secret)
"""
IN_A_COMMAND = """
import ferstream.settings.render
ferstream.settings.render.reference = fall
sys.argv = ["ferstream", "config", "reference"]
from ferstream.__main__ import main
main()
"""
IN_A_THREAD = """
from ferstream.logs import catch_crashes, configure_logging
configure_logging()
catch_crashes()
thread = threading.Thread(target=fall)
thread.start()
thread.join()
fall()
"""


@pytest.mark.parametrize(("code", "ends_with"), [(IN_A_COMMAND, 70), (IN_A_THREAD, 1)])
def test_a_crash_shows_no_secret(code: str, ends_with: int) -> None:
    words = [sys.executable, "-c", HEAD + code]
    done = subprocess.run(words, env=clean_environment(PLANTED=BROKER_PASSWORD), capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == ends_with
    assert "Traceback" in done.stderr
    assert "ValueError: ***" in done.stderr
    assert_nothing_came_out(done.stdout + done.stderr)


def page(port: int, name: str) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{name}", timeout=20) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as exc:
        return str(exc.read().decode())
