"""The live page of a real daemon, seen through real HTTP."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest

from ferstream.app.running import Running
from ferstream.app.signals import Signals
from ferstream.detection.mask import MASK_GREY
from ferstream.domain.emotion import LABELS
from ferstream.errors import ExitCode
from ferstream.runtime.addresses import ListenAddress
from ferstream.settings import Settings
from ferstream.telemetry.server import TelemetryServer
from tests.support.accepting_broker import AcceptingBroker
from tests.support.daemon_run import QUICK, DaemonRun
from tests.support.live import Viewer, picture_of, read_state, wait_state
from tests.support.logs import Logs, named
from tests.support.running import wait_connected, wait_frames
from tests.support.telemetry import ask
from tests.support.threads import wait_until

pytestmark = pytest.mark.usefixtures("no_new_threads")
MakeSettings = Callable[..., Settings]
LEFT_HALF = [[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]]
EVERY_PAGE = ("/", "/metrics", "/healthz", "/readyz", "/api/1/state")


@pytest.fixture
def make(make_settings: MakeSettings, broker: AcceptingBroker, portrait: dict[str, Any]) -> Callable[..., Settings]:
    """Makes settings with camera ``door``; ``camera`` changes it."""

    def made(*, camera: dict[str, Any] | None = None, **tables: Any) -> Settings:
        tables["mqtt"] = {"url": broker.url, **tables.get("mqtt", {})}
        return make_settings(**{"cameras": [portrait | (camera or {})], **tables})

    return made


def address(running: Running) -> ListenAddress:
    assert running.server is not None
    return running.server.address


def server_of(running: Running) -> TelemetryServer:
    assert running.server is not None
    return running.server


def run(settings: Settings, steps: Callable[[Running], None]) -> None:
    """Run a daemon with these steps."""
    assert DaemonRun(settings).run(lambda running, signals: steps(running)) is ExitCode.OK


def test_a_viewer_sees_the_faces_of_a_camera(make: MakeSettings) -> None:
    def steps(running: Running) -> None:
        with Viewer(address(running), "door") as viewer:
            hello = viewer.wait("hello")
            frame = viewer.wait("frame", lambda data: bool(data["faces"]))
        assert (hello["node"], hello["cameras"], hello["pixels"]) == ("edge-1", ["door"], False)
        assert (frame["width"], frame["height"]) == (192, 224)
        (face,) = frame["faces"]
        x, y, w, h = face["face"]["box"]
        assert 0 <= x < x + w <= 192
        assert 0 <= y < y + h <= 224
        assert sum(face["emotion"]["probabilities"].values()) == pytest.approx(1, abs=0.01)

    run(make(), steps)


def test_the_state_has_all_that_the_page_shows(make: MakeSettings) -> None:
    def steps(running: Running) -> None:
        wait_connected(running)
        wait_frames(running, count=3)
        found = wait_state(server_of(running), lambda found: bool(found["cameras"][0]["faces_now"]))
        assert found.keys() == {
            *("api", "node", "version", "time", "uptime_s", "pixels", "aggregate_only", "commands", "login", "uploads", "labels", "model"),
            *("ready", "cameras", "latency_ms", "queues", "outbox", "sinks", "history"),
        }
        assert (found["api"], found["node"], found["labels"], found["commands"]) == (1, "edge-1", list(LABELS), False)
        assert found["model"]["backend"] == "openvino:CPU"
        assert [check["name"] for check in found["ready"]["checks"]] == ["models", "cameras", "load", "broker", "outbox"]
        (camera,) = found["cameras"]
        assert (camera["name"], camera["enabled"], camera["status"], camera["reason"]) == ("door", True, "online", "")
        assert (camera["width"], camera["height"], camera["faces_now"]) == (192, 224, 1)
        assert camera["frames"]["captured"] >= camera["frames"]["analysed"] >= camera["frames"]["published"] >= 3
        assert {"stage": "publishing", "items": 0, "capacity": 272} in found["queues"]
        assert found["outbox"].keys() == {"events", "bytes", "oldest_s", "on_disk"}
        (sink,) = found["sinks"]
        assert (sink["name"], sink["connected"], sink["reason"], sink["dropped"]) == ("mqtt", True, "", 0)
        assert found["history"]["interval_s"] == 2.0

    run(make(), steps)


class TestPixels:
    """Pictures leave the daemon only where the settings say so, and never what is under a mask."""

    def everything_served(self, running: Running, frames: int = 5) -> bytes:
        """Read every page, and a stream until so many frames came."""
        assert running.server is not None
        served = "".join(ask(running.server, path)[2] for path in EVERY_PAGE).encode()
        with Viewer(address(running)) as viewer:
            for event in viewer.events():
                served += event.raw
                frames -= event.kind == "frame" and bool(event.data["faces"])
                if not frames:
                    return served
        raise AssertionError("the stream ended")

    def traces(self, served: bytes) -> list[str]:
        """Return what a picture would leave in the bytes: beginnings of image formats, also in base64, or any long run of base64."""
        beginnings = (b"\xff\xd8\xff", b"\x89PNG", b"RIFF", b"GIF8", b"data:image", b"/9j/", b"iVBORw0KG", b"UklGR")
        found = [str(beginning) for beginning in beginnings if beginning in served]
        runs = re.findall(rb"[A-Za-z0-9+/]{200,}", served)
        return found + [f"{len(run)} characters of base64" for run in runs]

    @pytest.mark.parametrize("pixels", [False, True])
    def test_no_image_byte_leaves_unless_the_settings_say_so(self, make: MakeSettings, pixels: bool) -> None:
        def steps(running: Running) -> None:
            served = self.everything_served(running)
            traces = self.traces(served)
            assert bool(traces) == pixels, traces
            assert running.page is not None
            assert pixels or running.page.feed.pictures == 0

        run(make(http={"pixels": pixels}), steps)

    def test_the_picture_is_that_of_the_detector(self, make: MakeSettings, logs: Logs) -> None:
        def steps(running: Running) -> None:
            with Viewer(address(running)) as viewer:
                message = viewer.wait("frame", lambda data: "picture" in data)
            picture = picture_of(message)
            assert picture.shape[1] <= 192
            assert picture.std() > 30  # a portrait, not a grey area
            assert b"Exif" not in base64.b64decode(message["picture"].partition(",")[2])

        run(make(http={"pixels": True}), steps)
        assert named(logs, "the live page shows pictures of the cameras")[0]["log_level"] == "info"

    def test_masks_hold_in_the_pictures(self, make: MakeSettings) -> None:
        def steps(running: Running) -> None:
            with Viewer(address(running)) as viewer:
                for _ in range(3):
                    picture = picture_of(viewer.wait("frame", lambda data: "picture" in data)).astype(int)
                    middle = picture.shape[1] // 2
                    # 8 pixels beside the edge are left out: JPEG mixes the blocks of 16 at half the resolution of colours.
                    assert abs(picture[:, : middle - 16] - MASK_GREY).max() <= 6
                    assert picture[:, middle + 16 :].std() > 20

        run(make(camera={"masks": [LEFT_HALF]}, http={"pixels": True}), steps)

    def test_new_masks_hold_from_the_first_picture_of_the_camera_that_has_them(self, make: MakeSettings) -> None:
        before = make(http={"pixels": True})
        after = make(camera={"masks": [LEFT_HALF]}, http={"pixels": True})

        def steps(running: Running, signals: Signals) -> None:
            with Viewer(address(running)) as viewer:
                assert not masked(viewer.wait("frame", lambda data: "picture" in data))
                signals.on_reload(1, None)
                viewer.wait("frame", lambda data: "picture" in data and masked(data))
                for _ in range(5):
                    assert masked(viewer.wait("frame", lambda data: "picture" in data))

        def masked(message: dict[str, Any]) -> bool:
            picture = picture_of(message).astype(int)
            return bool(abs(picture[:, : picture.shape[1] // 2 - 16] - MASK_GREY).max() <= 6)

        assert DaemonRun(before, reload=lambda: after).run(steps) is ExitCode.OK

    def test_pictures_begin_with_a_restart_only(self, make: MakeSettings, logs: Logs) -> None:
        def steps(running: Running, signals: Signals) -> None:
            signals.on_reload(1, None)
            wait_until(lambda: running.settings.http.pixels)
            with Viewer(address(running)) as viewer:
                assert viewer.wait("hello")["pixels"] is False
                assert "picture" not in viewer.wait("frame", lambda data: bool(data["faces"]))
            assert read_state(server_of(running))["pixels"] is False

        assert DaemonRun(make(), reload=lambda: make(http={"pixels": True})).run(steps) is ExitCode.OK
        assert "http.pixels" in named(logs, "these settings need a restart")[0]["keys"]


class TestAggregateOnly:
    """The page shows groups only."""

    def test_only_states_and_summaries_are_sent(self, make: MakeSettings) -> None:
        def steps(running: Running) -> None:
            wait_frames(running, count=3)
            with Viewer(address(running)) as viewer:
                kinds = []
                for event in viewer.events():
                    kinds.append(event.kind)
                    assert b"door-" not in event.raw  # the id of a track
                    if kinds.count("summary") == 3:
                        break
                    if event.kind == "summary":
                        assert sum(event.data["counts"].values()) == 0  # one person is no group
                        assert event.data["faces_now"] == 0
            assert set(kinds) <= {"hello", "camera", "summary"}
            found = read_state(server_of(running))
            assert found["aggregate_only"] is True
            assert found["pixels"] is False
            assert found["cameras"][0]["faces_now"] == 0
            assert all(point["faces_per_s"] is None for point in found["history"]["points"])

        settings = make(
            privacy={"aggregate_only": True, "min_group_size": 2},
            publishing={"summary_interval_s": 0.2},
            http={"pixels": True},
        )
        run(settings, steps)


class TestCommands:
    """The page switches cameras the way of MQTT commands."""

    def switch(self, running: Running, enabled: bool) -> tuple[int, str]:
        assert running.server is not None
        body, headers = json.dumps({"enabled": enabled}).encode(), {"content-type": "application/json"}
        status, _, text = ask(running.server, "/api/1/cameras/door", method="POST", body=body, headers=headers)
        return status, text

    def test_a_camera_is_switched_off_and_on(self, make: MakeSettings, logs: Logs) -> None:
        def steps(running: Running) -> None:
            wait_frames(running)
            with Viewer(address(running)) as viewer:
                assert self.switch(running, enabled=False)[0] == 202
                assert viewer.wait("camera", lambda data: data["status"] == "disabled")["reason"] == "switched off by a command"
                found = wait_state(server_of(running), lambda found: found["cameras"][0]["enabled"] is False)
                assert found["cameras"][0]["faces_now"] is None
                assert self.switch(running, enabled=True)[0] == 202
                assert viewer.wait("frame", lambda data: bool(data["faces"]))

        run(make(mqtt={"commands": True}), steps)
        assert [line["enabled"] for line in named(logs, "a command from the page")] == [False, True]

    def test_without_commands_it_is_refused(self, make: MakeSettings) -> None:
        def steps(running: Running) -> None:
            status, text = self.switch(running, enabled=False)
            assert status == 403
            assert "mqtt.commands" in json.loads(text)["error"]

        run(make(), steps)


class TestLife:
    """Start, reload and end with viewers."""

    def test_the_daemon_stops_at_once_with_open_viewers(self, make: MakeSettings) -> None:
        viewers: list[Viewer] = []

        def steps(running: Running) -> None:
            viewers.extend(Viewer(address(running)) for _ in range(20))
            for viewer in viewers[:10]:
                viewer.wait("frame")  # the others never read

        with ExitStack() as stack:
            run(make(), steps)
            for viewer in viewers:
                stack.enter_context(viewer)
            assert all(event.kind for event in viewers[0].events())  # ends, because the stream does
            assert viewers[0].answer.isclosed()

    def test_cameras_that_are_added_and_removed_reach_the_viewers(self, make: MakeSettings, portrait: dict[str, Any]) -> None:
        before, after = make(), make(cameras=[portrait | {"name": "yard"}])

        def steps(running: Running, signals: Signals) -> None:
            with Viewer(address(running)) as viewer:
                viewer.wait("frame")
                signals.on_reload(1, None)
                assert viewer.wait("hello", lambda data: data["cameras"] != ["door"])["cameras"] == ["yard"]
                assert viewer.wait("frame", lambda data: data["camera"] == "yard")
            wait_state(server_of(running), lambda found: [camera["name"] for camera in found["cameras"]] == ["yard"])

        assert DaemonRun(before, reload=lambda: after).run(steps) is ExitCode.OK

    def test_without_http_there_is_no_page(self, make: MakeSettings) -> None:
        def steps(running: Running) -> None:
            wait_frames(running)
            assert running.page is None

        run(make(http={"enabled": False}), steps)

    def test_metrics_count_viewers_and_messages(self, make: MakeSettings) -> None:
        def steps(running: Running) -> None:
            assert running.server is not None
            with Viewer(address(running)) as viewer:
                viewer.wait("frame")
                text = ask(running.server, "/metrics")[2]
            assert "ferstream_live_viewers 1.0" in text
            assert 'ferstream_live_messages_total{kind="hello"} 1.0' in text
            assert 'ferstream_live_frames_skipped_total{camera="door"} ' in text
            assert 'kind="live_messages"' not in text

        run(make(), steps)

    def test_the_charts_get_points(self, make: MakeSettings) -> None:
        def steps(running: Running) -> None:
            wait_state(server_of(running), lambda found: len(found["history"]["points"]) > 2)

        daemon = DaemonRun(make(), timings=replace(QUICK, history_s=0.01))
        assert daemon.run(lambda running, signals: steps(running)) is ExitCode.OK
