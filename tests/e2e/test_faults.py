"""Faults around a whole daemon: a wall clock that jumps, a slow broker, signals at random moments, invalid commands."""

from __future__ import annotations

import random
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.brokers import Mosquitto, Subscriber
from tests.support.daemon import RunningDaemon
from tests.support.proxy import Proxy
from tests.support.publish import publish

PATIENT = "[runtime]\nstaleness_s = 600\n"
"""A limit that the clock exceeds when it jumps, and a busy machine does not."""
DEMO = '[[cameras]]\nname = "door"\nsource = "demo:"\nanalysis_fps = 5\n'


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path / "mosquitto").start()
    yield broker
    broker.end()


def settings(broker: Mosquitto, folder: Path, more: str = "") -> str:
    return f'{DEMO}\n[mqtt]\nurl = "{broker.url}"\nsummary_interval_s = 1\n{more}\n[outbox]\npath = "{folder / "outbox"}"\n'


def test_jumps_of_the_wall_clock_do_not_make_frames_stale(mosquitto: Mosquitto, tmp_path: Path, root_dir: Path) -> None:
    program = [sys.executable, "-m", "tests.support.jumping_clock"]
    with (
        Subscriber(mosquitto.url) as subscriber,
        RunningDaemon(tmp_path, settings(mosquitto, tmp_path) + PATIENT, program=program, PYTHONPATH=str(root_dir)) as daemon,
    ):
        metrics = daemon.wait_frames("door", 25)
        stale = sum(value for name, value in metrics.items() if "frames_dropped_total" in name and "stale" in name)
        assert stale == 0
        assert metrics['ferstream_capture_to_publish_seconds_bucket{camera="door",le="+Inf"}'] >= 25
        assert metrics['ferstream_capture_to_publish_seconds_sum{camera="door"}'] < 3600
        assert daemon.page("/healthz")[0] == 200
        assert daemon.end() == 0
        subscriber.wait_payload("/availability", b"stopped")
        seqs = subscriber.seqs("door", "face")
        assert seqs == list(range(len(seqs)))
        media = [event["frame"]["media_time_s"] for event in subscriber.events("door", "face")]
        assert media == sorted(media)


def test_late_acknowledgements_neither_stop_the_cameras_nor_lose_events(mosquitto: Mosquitto, tmp_path: Path) -> None:
    with Proxy(mosquitto.port) as proxy, Subscriber(mosquitto.url) as subscriber:
        text = settings(mosquitto, tmp_path, "max_hz_per_face = 0").replace(mosquitto.url, f"mqtt://127.0.0.1:{proxy.port}")
        with RunningDaemon(tmp_path, text.replace("analysis_fps = 5", "analysis_fps = 0")) as daemon:
            daemon.wait_frames("door", 5)
            proxy.delay_s = 3.0  # for each piece of acknowledgements; in this time a busy machine makes 20 events too
            waiting = daemon.wait_metrics(lambda metrics: metrics["ferstream_outbox_events"] > 20)
            frames = int(waiting['ferstream_frames_total{camera="door",stage="publishing"}'])
            daemon.wait_frames("door", frames + 25)
            assert daemon.page("/readyz")[0] == 200
            proxy.delay_s = 0.0
            daemon.wait_metrics(lambda metrics: metrics["ferstream_outbox_events"] < 5)
            assert daemon.end() == 0
        subscriber.wait_payload("/availability", b"stopped")
        seqs = subscriber.seqs("door", "face")
        assert seqs == list(range(len(seqs)))


@pytest.mark.timeout(900)
@pytest.mark.parametrize("rounds", [2, pytest.param(30, marks=pytest.mark.slow)])
def test_signals_at_random_moments(mosquitto: Mosquitto, tmp_path: Path, rounds: int) -> None:
    drawn, pause = random.Random(rounds), threading.Event()
    with Subscriber(mosquitto.url) as subscriber, RunningDaemon(tmp_path, settings(mosquitto, tmp_path)) as daemon:
        for number in range(rounds):
            if number:
                daemon.start()
            how = drawn.choice([signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
            subscriber.wait(lambda _, number=number: len(boots_of(subscriber)) > number)  # type: ignore[misc]
            for _ in range(drawn.randrange(4)):
                pause.wait(drawn.uniform(0.0, 0.3))
                daemon.send(signal.SIGHUP)
            pause.wait(drawn.uniform(0.0, 0.5))
            assert daemon.end(how) == (-how if how is signal.SIGKILL else 0), daemon.log[-2000:]
        assert "Traceback" not in daemon.log
        for boot in boots_of(subscriber):
            seqs = sorted(set(subscriber.seqs("door", "face", boot)))
            assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))


def boots_of(subscriber: Subscriber) -> set[str]:
    """Boot ids of the face events received."""
    return {event["boot_id"] for event in subscriber.events("door", "face")}


def test_invalid_commands_are_ignored(mosquitto: Mosquitto, tmp_path: Path) -> None:
    drawn = random.Random(4)
    with RunningDaemon(tmp_path, settings(mosquitto, tmp_path, "commands = true")) as daemon:
        daemon.wait_frames("door", 2)
        for _ in range(200):
            camera = drawn.choice(["door", "nobody", "a/b", "-", "door/set"])
            publish_if_invalid(mosquitto, f"ferstream/edge-1/{camera}/set", drawn.randbytes(drawn.choice([0, 1, 2, 3, 50, 5000])))
        frames = daemon.metrics()['ferstream_frames_total{camera="door",stage="publishing"}']
        daemon.wait_frames("door", int(frames) + 3)
        assert daemon.end() == 0
        assert "Traceback" not in daemon.log


def publish_if_invalid(broker: Mosquitto, topic: str, payload: bytes) -> None:
    """Publish, unless the random bytes happen to be ON or OFF."""
    if payload.strip().upper() not in {b"ON", b"OFF"}:
        publish(broker.url, topic, payload)
