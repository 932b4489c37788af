"""The container files, as far as a machine without a container engine can judge them."""

from __future__ import annotations

import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.prometheus import DEPLOY


def compose_config(folder: Path) -> subprocess.CompletedProcess[str]:
    """What ``docker compose config`` says, of whichever compose there is."""
    environ = {**os.environ, "COMPOSE_PROJECT_NAME": "ferstream"}
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False) if shutil.which("docker") else None
    if plugin is not None and plugin.returncode == 0:
        command = ["docker", "compose", "-f", str(DEPLOY / "compose.yaml"), "config"]
    elif shutil.which("docker-compose"):
        # Version 1 knows no project name in the file.
        copy = folder / "compose.yaml"
        copy.write_text(re.sub(r"^name:.*\n", "", (DEPLOY / "compose.yaml").read_text(), flags=re.MULTILINE))
        command = ["docker-compose", "-f", str(copy), "--project-directory", str(DEPLOY), "config"]
    else:
        pytest.skip("no docker compose here (Debian: apt-get install docker-compose)")
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environ)


def test_compose_accepts_its_file(tmp_path: Path) -> None:
    found = compose_config(tmp_path)
    assert found.returncode == 0, found.stderr
    for service in ("ferstream:", "mosquitto:", "prometheus:", "grafana:"):
        assert f"  {service}" in found.stdout


def test_every_file_that_is_mounted_exists() -> None:
    mounted = re.findall(r"- \./(\S+?):", (DEPLOY / "compose.yaml").read_text())
    assert len(mounted) >= 6
    assert not [path for path in mounted if not (DEPLOY / path).exists()]


def test_only_the_broker_with_tls_is_reachable_from_outside() -> None:
    ports = re.findall(r'ports: \["([^"]+)"\]', (DEPLOY / "compose.yaml").read_text())
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == ["8883:8883"]


def test_every_image_has_a_version() -> None:
    images = re.findall(r"image: (\S+)", (DEPLOY / "compose.yaml").read_text())
    assert all(re.search(r":(v?\d|local)", image) for image in images), images


def test_nothing_is_installed_without_hashes() -> None:
    """uv sync checks those of uv.lock; the wheel is built on the spot."""
    files = [DEPLOY / "Dockerfile", DEPLOY.parent / "scripts/setup.sh", *DEPLOY.rglob("*.sh")]
    lines = [line for file in files for line in file.read_text().splitlines() if re.search(r"\b(pip|build)\b.*(install|--wheel)", line)]
    calls = [line for line in lines if not line.lstrip().startswith("#") and "local pip=" not in line]
    assert len(calls) >= 4
    assert [line for line in calls if not re.search(r"--require-hashes|--no-deps", line)] == []


def test_the_settings_of_the_container_are_valid() -> None:
    environ = {key: value for key, value in os.environ.items() if not key.startswith("FERSTREAM_")}
    command = [sys.executable, "-m", "ferstream", "config", "show", "-c", str(DEPLOY / "compose" / "ferstream.toml")]
    found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environ)
    assert "mosquitto" in found.stdout or "mqtt.password_file" in found.stderr, found.stderr


class _Page(http.server.BaseHTTPRequestHandler):
    status = 200
    seen: list[str | None]

    def do_GET(self) -> None:
        self.seen.append(self.headers["authorization"])
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(b'{"failed": ["stage:inference"]}')

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def page() -> Iterator[type[_Page]]:
    _Page.seen, _Page.status = [], 200
    server = http.server.HTTPServer(("127.0.0.1", 0), _Page)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    _Page.port = server.server_port  # type: ignore[attr-defined]
    yield _Page
    server.shutdown()
    thread.join(10)
    server.server_close()


def healthcheck(port: int, token: Path) -> subprocess.CompletedProcess[str]:
    environ = {"FERSTREAM_HEALTH_URL": f"http://127.0.0.1:{port}/healthz", "FERSTREAM_HEALTH_TOKEN_FILE": str(token)}
    return subprocess.run([sys.executable, DEPLOY / "healthcheck.py"], capture_output=True, text=True, check=False, timeout=60, env=environ)


def test_the_health_check_sends_its_token_and_passes(page: type[_Page], tmp_path: Path) -> None:
    (tmp_path / "token").write_text("correct-horse\n")
    assert healthcheck(page.port, tmp_path / "token").returncode == 0  # type: ignore[attr-defined]
    assert page.seen == ["Bearer correct-horse"]


def test_the_health_check_prints_why_it_fails(page: type[_Page], tmp_path: Path) -> None:
    page.status = 503
    found = healthcheck(page.port, tmp_path / "none")  # type: ignore[attr-defined]
    assert found.returncode == 1
    assert json.loads(found.stderr.split(": ", 1)[1]) == {"failed": ["stage:inference"]}
    assert page.seen == [None]


def test_the_health_check_fails_without_an_answer(tmp_path: Path) -> None:
    assert healthcheck(1, tmp_path / "none").returncode == 1
