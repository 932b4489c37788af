"""A real daemon with a token: login, pictures, recordings; every answer is what docs/openapi.json says. Then kills."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.api_client import PATIENCE_S, ApiClient, message_schema
from tests.support.clips import portrait_clip, write_clip
from tests.support.daemon import RunningDaemon, ferstream
from tests.support.openapi import check
from tests.support.threads import wait_until

TOKEN = "correct-horse-battery-staple"
SETTINGS = '[[cameras]]\nname = "door"\nsource = "demo:"\n[mqtt]\nurl = "mqtt://127.0.0.1:9"\n[outbox]\npath = "memory"\n'
RECORDINGS, ONE = "/api/1/recordings", "/api/1/recordings/{id}"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[RunningDaemon]:
    with RunningDaemon(tmp_path, SETTINGS, FERSTREAM_HTTP__TOKEN=TOKEN) as daemon:
        daemon.wait_log('"event": "running"')
        yield daemon


@pytest.fixture
def client(daemon: RunningDaemon) -> ApiClient:
    client = ApiClient(daemon.port)
    client.log_in(TOKEN)
    return client


def scratch_of(daemon: RunningDaemon) -> Path:
    return daemon.folder / "state" / "uploads"


def workers_of(pid: int) -> list[int]:
    """The worker processes of a daemon."""
    return [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]


def is_running(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def pid_of(daemon: RunningDaemon) -> int:
    assert daemon.process is not None
    return daemon.process.pid


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A recording whose analysis takes a while."""
    return write_clip(tmp_path_factory.mktemp("clips") / "long.mp4", frames=4000, size=(160, 120), still=True).read_bytes()


def start_long_recording(client: ApiClient, clip: bytes) -> str:
    """Upload a recording; return its id when frames are analysed."""
    status, made = client.ask("POST", RECORDINGS, f"{RECORDINGS}?name=Holiday%20in%20Rome.mp4", clip, "video/mp4")
    assert status == 201
    wait_until(lambda: client.ask("GET", ONE, f"{RECORDINGS}/{made['id']}")[1]["frames"] > 0, every_s=0.2, patience_s=PATIENCE_S)
    return str(made["id"])


def test_everything_that_a_page_asks_is_answered_as_documented(client: ApiClient, daemon: RunningDaemon, tmp_path: Path) -> None:
    _, state = client.ask("GET", "/api/1/state")
    assert (state["login"], state["uploads"]["recordings"]) == (True, True)
    kinds = set()
    for kind, message in client.events(12):
        check(message, message_schema(kind))
        kinds.add(kind)
    assert {"hello", "camera", "frame"} <= kinds
    assert client.ask("POST", "/api/1/cameras/{name}", "/api/1/cameras/door", b'{"enabled": false}', "application/json")[0] == 403
    still_is_that_of_predict(client, tmp_path)
    recording_is_that_of_replay(client, tmp_path)
    assert list(scratch_of(daemon).iterdir()) == []
    assert "portrait" not in daemon.log, "names of files are not logged"


def still_is_that_of_predict(client: ApiClient, folder: Path) -> None:
    from matplotlib.cbook import get_sample_data

    portrait = Path(str(get_sample_data("grace_hopper.jpg", asfileobj=False)))
    status, answer = client.ask("POST", "/api/1/stills", body=portrait.read_bytes(), kind="image/jpeg")
    expected = json.loads(ferstream("predict", portrait, "--json", "-", "--no-picture", cwd=folder).stdout)["images"][0]
    del expected["file"]
    assert (status, answer) == (200, expected)
    status, answer = client.ask("POST", "/api/1/stills", "/api/1/stills?name=notes.txt", b"no picture", "image/png")
    assert (status, answer["error"][:25]) == (415, "notes.txt: is not a pictu")


def recording_is_that_of_replay(client: ApiClient, folder: Path) -> None:
    clip = portrait_clip(folder / "portrait.mp4")
    status, made = client.ask("POST", RECORDINGS, f"{RECORDINGS}?name=portrait.mp4", clip.read_bytes(), "video/mp4")
    assert status == 201
    assert client.wait_recording(made["id"])["state"] == "done"
    one = f"{RECORDINGS}/{made['id']}"
    assert client.ask("GET", RECORDINGS)[1]["recordings"][0]["id"] == made["id"]
    assert len(client.ask("GET", ONE + "/timeline", one + "/timeline")[1]["tracks"]) == 1
    lines = client.ask("GET", ONE + "/events.jsonl", one + "/events.jsonl")[1]
    assert lines.decode() == ferstream("replay", clip, "--events", "-", "-q", cwd=folder).stdout
    for table in ("csv", "parquet"):
        assert client.ask("GET", f"{ONE}/events.{table}", f"{one}/events.{table}")[0] == 200
    assert client.ask("DELETE", ONE, one)[0] == 204
    assert client.ask("GET", ONE, one)[0] == 404


def test_a_worker_that_is_killed_costs_its_recording_only(client: ApiClient, daemon: RunningDaemon, long_clip: bytes) -> None:
    made = start_long_recording(client, long_clip)
    for worker in workers_of(pid_of(daemon)):
        os.kill(worker, signal.SIGKILL)
    state = client.wait_recording(made)
    assert (state["state"], state["error"]) == ("failed", "the worker process was ended by SIGKILL; the system may have run out of memory")
    assert "an uploaded recording could not be analysed" in daemon.log
    assert "Holiday" not in daemon.log
    assert client.ask("GET", "/api/1/state")[1]["cameras"][0]["status"] == "online"


def test_a_daemon_that_is_killed_leaves_neither_files_nor_workers(client: ApiClient, daemon: RunningDaemon, long_clip: bytes) -> None:
    start_long_recording(client, long_clip)
    workers = workers_of(pid_of(daemon))
    assert workers
    daemon.end(signal.SIGKILL)
    wait_until(lambda: not any(map(is_running, workers)))
    assert list(scratch_of(daemon).iterdir()) == []


def test_a_stop_in_the_middle_of_an_analysis_is_clean(client: ApiClient, daemon: RunningDaemon, long_clip: bytes) -> None:
    start_long_recording(client, long_clip)
    workers = workers_of(pid_of(daemon))
    assert daemon.end() in {0, 4}  # 4: no broker took the events
    assert not any(map(is_running, workers))


def test_the_cameras_go_on_while_recordings_are_analysed(client: ApiClient, long_clip: bytes) -> None:
    made = start_long_recording(client, long_clip)
    before = published(client)
    wait_until(lambda: published(client) > before + 20, every_s=0.5)
    assert client.ask("GET", ONE, f"{RECORDINGS}/{made}")[1]["state"] == "running"
    assert client.ask("DELETE", ONE, f"{RECORDINGS}/{made}")[0] == 204


def published(client: ApiClient) -> Any:
    return client.ask("GET", "/api/1/state")[1]["cameras"][0]["frames"]["published"]
