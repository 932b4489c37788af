"""A camera on a real RTSP server, seen through the daemon: it comes back, and the topics and counters tell."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.brokers import Mosquitto, Subscriber
from tests.support.clips import write_clip
from tests.support.daemon import RunningDaemon
from tests.support.rtsp import SERVER, rtsp_server

pytestmark = pytest.mark.skipif(not SERVER.exists(), reason="rtsp-server (aio-rtsp-toolkit) is not installed")


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path / "mosquitto").start()
    yield broker
    broker.end()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("cuts", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_a_camera_reconnects_after_every_cut_and_publishes_its_state(mosquitto: Mosquitto, tmp_path: Path, cuts: int) -> None:
    media = tmp_path / "media"
    media.mkdir()
    write_clip(media / "door.mp4", size=(320, 240), frames=50, options={"g": "10", "bf": "0", "tune": "zerolatency"})
    with rtsp_server(media) as server, Subscriber(mosquitto.url) as subscriber:
        settings = (
            f'[[cameras]]\nname = "door"\nsource = "{server.url("door.mp4")}"\nanalysis_fps = 5\nread_timeout_s = 2\n'
            f'reconnect_min_s = 0.2\nreconnect_max_s = 1\n[mqtt]\nurl = "{mosquitto.url}"\n[outbox]\npath = "memory"\n'
        )
        with RunningDaemon(tmp_path, settings) as daemon:
            for cut in range(cuts):
                seen = daemon.wait_metrics(lambda m: m.get('ferstream_camera_up{camera="door"}') == 1)
                frames = seen['ferstream_frames_total{camera="door",stage="publishing"}']
                daemon.wait_frames("door", int(frames) + 2)
                server.kill()
                daemon.wait_metrics(lambda m: m['ferstream_camera_up{camera="door"}'] == 0)
                server.start()
                subscriber.wait(
                    lambda _, cut=cut: [e["status"] for e in online_changes(subscriber)].count("online") >= cut + 2  # type: ignore[misc]
                )
            metrics = daemon.metrics()
            assert sum(n for name, n in metrics.items() if name.startswith("ferstream_camera_reconnects_total")) >= cuts
            assert daemon.end() == 0
        statuses = [event["status"] for event in online_changes(subscriber)]
        assert statuses.count("reconnecting") + statuses.count("offline") >= cuts
        assert statuses[-1] == "offline"
        assert subscriber.events("door", "state")[-1]["reason"] == "stopped"


def online_changes(subscriber: Subscriber) -> list[dict[str, object]]:
    """States without the updates of the frame rate."""
    changes: list[dict[str, object]] = []
    for event in subscriber.events("door", "state"):
        if not changes or changes[-1]["status"] != event["status"]:
            changes.append(event)
    return changes
