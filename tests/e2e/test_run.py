"""The daemon as a process: brokers, signals, faults in its settings, and what subscribers see of it."""

from __future__ import annotations

import json
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.support.brokers import Mosquitto, Subscriber
from tests.support.clips import write_clip
from tests.support.daemon import RunningDaemon, ferstream

RETAINED = ("availability", "door/state", "door/summary")
DEMO = '[[cameras]]\nname = "door"\nsource = "demo:"\nanalysis_fps = 5\n'


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path / "mosquitto").start()
    yield broker
    broker.end()


def to(broker: Mosquitto, cameras: str = DEMO, more: str = "") -> str:
    return f'{cameras}\n[mqtt]\nurl = "{broker.url}"\nsummary_interval_s = 1\n{more}\n[outbox]\npath = "memory"\n'


def validator(root_dir: Path, name: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads((root_dir / "docs" / "schema" / f"{name}-1.json").read_text()))


def newest(subscriber: Subscriber, camera: str, kind: str) -> dict[str, Any]:
    return subscriber.events(camera, kind)[-1]


def test_a_subscriber_sees_every_topic_as_documented(mosquitto: Mosquitto, tmp_path: Path, root_dir: Path) -> None:
    with Subscriber(mosquitto.url) as subscriber, RunningDaemon(tmp_path, to(mosquitto)) as daemon:
        for kind in ("state", "face", "track", "summary"):
            subscriber.wait(lambda _, kind=kind: bool(subscriber.events("door", kind)))  # type: ignore[misc]
        subscriber.wait_payload("/availability", b"online")
        for kind in ("state", "face", "track", "summary"):
            for event in subscriber.events("door", kind):
                validator(root_dir, kind).validate(event)
        assert newest(subscriber, "door", "state")["status"] == "online"
        with Subscriber(mosquitto.url, "ferstream/edge-1/#") as late:
            late.wait(lambda messages: {f"ferstream/edge-1/{end}" for end in RETAINED} <= {m.topic for m in messages if m.retain})
        assert daemon.page("/healthz")[0] == daemon.page("/readyz")[0] == 200
        assert daemon.end() == 0
        subscriber.wait_payload("/availability", b"stopped")
        assert newest(subscriber, "door", "state")["status"] == "offline"
        seqs = subscriber.seqs("door", "face")
        assert seqs == list(range(len(seqs)))


def test_sigkill_publishes_the_last_will(mosquitto: Mosquitto, tmp_path: Path) -> None:
    with Subscriber(mosquitto.url) as subscriber, RunningDaemon(tmp_path, to(mosquitto)) as daemon:
        subscriber.wait_payload("/availability", b"online")
        assert daemon.end(signal.SIGKILL) == -signal.SIGKILL
        subscriber.wait_payload("/availability", b"offline")


def test_one_broken_camera_does_not_disturb_the_others(mosquitto: Mosquitto, tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video\n" * 50)
    broken = f'[[cameras]]\nname = "gone"\nsource = "{tmp_path}/missing.mp4"\n[[cameras]]\nname = "text"\nsource = "{text}"\n'
    refusing = '[[cameras]]\nname = "nobody"\nsource = "rtsp://user:hunter2@127.0.0.1:9/stream"\n'
    with (
        Subscriber(mosquitto.url) as subscriber,
        RunningDaemon(tmp_path, to(mosquitto, broken + refusing + DEMO)) as daemon,
    ):
        daemon.wait_frames("door", 5)
        for name, words in {"gone": "no such file", "text": "is text"}.items():
            subscriber.wait(lambda _, name=name: any(e["status"] == "offline" for e in subscriber.events(name, "state")))  # type: ignore[misc]
            assert words in newest(subscriber, name, "state")["reason"]
        subscriber.wait(lambda _: any(e["status"] == "reconnecting" for e in subscriber.events("nobody", "state")))
        metrics = daemon.metrics()
        assert metrics['ferstream_camera_up{camera="door"}'] == 1
        assert metrics['ferstream_camera_up{camera="gone"}'] == 0
        assert daemon.end() == 0
        assert "hunter2" not in daemon.log + "".join(str(message.payload) for message in subscriber.messages)


def test_sighup_adds_and_removes_cameras_without_a_gap_in_the_others(mosquitto: Mosquitto, tmp_path: Path) -> None:
    second = DEMO.replace("door", "hall")
    with Subscriber(mosquitto.url) as subscriber, RunningDaemon(tmp_path, to(mosquitto)) as daemon:
        daemon.wait_frames("door", 3)
        daemon.write(to(mosquitto, DEMO + second))
        daemon.send(signal.SIGHUP)
        daemon.wait_frames("hall", 3)
        daemon.write("nonsense = 1\n")
        daemon.send(signal.SIGHUP)
        daemon.wait_log("the new settings are not valid")
        daemon.write(to(mosquitto))
        daemon.send(signal.SIGHUP)
        daemon.wait_metrics(lambda metrics: not any('camera="hall"' in name for name in metrics if name.startswith("ferstream_camera_up")))
        before = daemon.metrics()['ferstream_frames_total{camera="door",stage="publishing"}']
        daemon.wait_frames("door", int(before) + 3)
        assert len({event["track"]["id"].rsplit("-", 1)[0] for event in subscriber.events("door", "face")}) == 1
        assert daemon.end() == 0
        seqs = subscriber.seqs("door", "face")
        assert seqs == list(range(len(seqs)))


def test_a_stop_while_a_camera_waits_for_the_network_is_a_success(mosquitto: Mosquitto, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        source = f"rtsp://127.0.0.1:{silent.getsockname()[1]}/stream"
        with RunningDaemon(tmp_path, to(mosquitto, f'[[cameras]]\nname = "door"\nsource = "{source}"\n')) as daemon:
            silent.settimeout(60)
            connection, _ = silent.accept()  # the camera is there, and says nothing
            with connection:
                daemon.wait_log('"running"')
                assert daemon.end() == 0, daemon.log
        assert "did not end in time" not in daemon.log


def test_commands_switch_a_camera(mosquitto: Mosquitto, tmp_path: Path) -> None:
    from tests.support.publish import publish

    with Subscriber(mosquitto.url) as subscriber, RunningDaemon(tmp_path, to(mosquitto, more="commands = true")) as daemon:
        daemon.wait_frames("door", 3)
        publish(mosquitto.url, "ferstream/edge-1/door/set", b"OFF")
        subscriber.wait(lambda _: newest(subscriber, "door", "state")["status"] == "disabled")
        publish(mosquitto.url, "ferstream/edge-1/door/set", b"\xff\x00nonsense")
        publish(mosquitto.url, "ferstream/edge-1/door/set", b"ON")
        subscriber.wait(lambda _: newest(subscriber, "door", "state")["status"] == "online")
        assert daemon.end() == 0


def test_commands_are_ignored_unless_enabled(mosquitto: Mosquitto, tmp_path: Path) -> None:
    from tests.support.publish import publish

    with RunningDaemon(tmp_path, to(mosquitto)) as daemon:
        frames = daemon.wait_frames("door", 3)['ferstream_frames_total{camera="door",stage="publishing"}']
        publish(mosquitto.url, "ferstream/edge-1/door/set", b"OFF")
        daemon.wait_frames("door", int(frames) + 10)
        assert daemon.end() == 0


def test_a_stuck_stage_ends_the_process_with_its_stack_in_the_log(mosquitto: Mosquitto, tmp_path: Path, root_dir: Path) -> None:
    program = [sys.executable, "-m", "tests.support.stuck"]
    settings = to(mosquitto) + "[watchdog]\nstuck_after_s = 2.0\n"
    with RunningDaemon(tmp_path, settings, program=program, PYTHONPATH=str(root_dir)) as daemon:
        assert daemon.process is not None
        assert daemon.process.wait(60) == 70, daemon.log
        assert "stage inference made no progress" in daemon.log
        assert "hang_for_good" in daemon.log


def test_a_model_that_fails_at_run_time_ends_the_process_for_a_restart(mosquitto: Mosquitto, tmp_path: Path, root_dir: Path) -> None:
    program = [sys.executable, "-m", "tests.support.stuck", "fail"]
    with RunningDaemon(tmp_path, to(mosquitto), program=program, PYTHONPATH=str(root_dir)) as daemon:
        assert daemon.process is not None
        assert daemon.process.wait(60) == 70, daemon.log  # 5 would keep systemd from starting it again
        assert "device lost" in daemon.log


def test_a_second_signal_ends_the_process_at_once(mosquitto: Mosquitto, tmp_path: Path, root_dir: Path) -> None:
    program = [sys.executable, "-m", "tests.support.stuck"]
    with RunningDaemon(tmp_path, to(mosquitto), program=program, PYTHONPATH=str(root_dir)) as daemon:
        daemon.wait_metrics(lambda metrics: metrics['ferstream_frames_total{camera="door",stage="detection"}'] > 0)
        daemon.send(signal.SIGINT)
        daemon.wait_log("stopping")
        assert daemon.end(signal.SIGINT, timeout_s=5) == 130


def test_a_port_in_use_is_reported_with_its_key(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        file = tmp_path / "f.toml"
        file.write_text(f'{DEMO}[http]\nlisten = "127.0.0.1:{port}"\n[outbox]\npath = "memory"\n')
        done = ferstream("run", "-c", file, "--seconds", 5)
    assert done.returncode == 7, done.stderr
    assert str(port) in done.stderr
    assert "http.listen" in done.stderr


def test_an_unknown_key_is_reported_with_the_nearest_known_one(tmp_path: Path) -> None:
    file = tmp_path / "f.toml"
    file.write_text("[detection]\nscroe = 0.5\n")
    done = ferstream("run", "-c", file)
    assert done.returncode == 2
    assert "scroe" in done.stderr
    assert "score" in done.stderr
    assert "f.toml" in done.stderr


def test_a_broken_bundle_is_exit_5(tmp_path: Path, root_dir: Path) -> None:
    import shutil

    bundle = tmp_path / "bundle"
    shutil.copytree(root_dir / "models" / "emotion-edge" / "1.2.0", bundle)
    (bundle / "openvino.bin").write_bytes(b"\0" * 100)
    file = tmp_path / "f.toml"
    file.write_text(f'{DEMO}[inference]\nmodel = "{bundle}"\n[http]\nlisten = "127.0.0.1:0"\n')
    done = ferstream("run", "-c", file, "--seconds", 5)
    assert done.returncode == 5
    assert "openvino.bin" in done.stderr
    assert "Traceback" not in done.stderr


def test_run_stops_after_its_seconds_also_when_the_recording_has_ended(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", frames=5)
    file = tmp_path / "f.toml"
    file.write_text(
        f'[[cameras]]\nname = "clip"\nsource = "{clip}"\n[http]\nlisten = "127.0.0.1:0"\n'
        '[outbox]\npath = "memory"\n[log]\nformat = "json"\n'
    )
    done = ferstream("run", "-c", file, "--seconds", 3)
    assert done.returncode == 0, done.stderr
    assert "end of the recording" in done.stderr


def test_the_demo_shows_faces_and_prints_its_addresses() -> None:
    done = ferstream("demo", "--seconds", 8)
    assert done.returncode == 0, done.stderr
    for words in ("mosquitto_sub -h 127.0.0.1 -p", "http://127.0.0.1:", "--source webcam:0"):
        assert words in done.stdout
    lines = [line for line in done.stdout.splitlines() if "demo-" in line]
    assert len(lines) >= 3, done.stdout
