"""The routes of the live page on a real server: state, stream, switching a camera, and their limits."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ferstream.domain.event import CameraStatus, Summary
from ferstream.web.hub import SKIPPED
from ferstream.web.stream import StreamTimings
from tests.support.builders import UTC_NS, camera_state, labelled_frame
from tests.support.clock import FakeClock
from tests.support.live import LiveServer, Viewer
from tests.support.telemetry import TOKEN, ask
from tests.support.threads import wait_until

pytestmark = pytest.mark.usefixtures("no_new_threads")
JSON = {"content-type": "application/json"}


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Closes servers and viewers, the last one first."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def live(stack: ExitStack) -> LiveServer:
    return stack.enter_context(LiveServer())


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def switch(live: LiveServer, camera: str, body: bytes, headers: dict[str, str] | None = None) -> tuple[int, str]:
    """Send a command; return status and body."""
    status, _, text = ask(live.server, f"/api/1/cameras/{camera}", method="POST", body=body, headers=JSON if headers is None else headers)
    return status, text


class TestState:
    """What ``/api/1/state`` answers."""

    def test_it_is_json_and_made_once_for_many_pages(self, stack: ExitStack) -> None:
        clock = FakeClock()
        live = stack.enter_context(LiveServer(clock=clock))
        answers = [ask(live.server, "/api/1/state") for _ in range(5)]
        assert {status for status, _, _ in answers} == {200}
        assert answers[0][1]["content-type"] == "application/json"
        assert [json.loads(body)["reads"] for _, _, body in answers] == [1] * 5
        clock.advance(0.6)
        assert json.loads(ask(live.server, "/api/1/state")[2])["reads"] == 2

    def test_other_methods_are_refused(self, live: LiveServer) -> None:
        for path in ("/api/1/state", "/api/1/events"):
            assert ask(live.server, path, method="DELETE")[0] == 405

    def test_it_needs_the_token(self, stack: ExitStack) -> None:
        live = stack.enter_context(LiveServer(token=TOKEN))
        for path in ("/api/1/state", "/api/1/events"):
            assert ask(live.server, path)[0] == 401
        assert ask(live.server, "/api/1/state", headers={"authorization": f"Bearer {TOKEN}"})[0] == 200


class TestStream:
    """What ``/api/1/events`` sends."""

    def test_it_begins_with_what_is_known(self, live: LiveServer) -> None:
        live.states = [camera_state(), camera_state(CameraStatus.OFFLINE, camera="yard", reason="no route")]
        live.feed.show(Summary("yard", UTC_NS, 5.0, {"sad": 6}, 5))
        with live.viewer() as viewer:
            assert viewer.answer.status == 200
            assert viewer.answer.headers["content-type"] == "text/event-stream; charset=utf-8"
            assert viewer.answer.headers["x-accel-buffering"] == "no"
            assert viewer.answer.headers["content-length"] is None
            events = viewer.events()
            kinds = [(event.kind, event.data.get("camera")) for event in (next(events) for _ in range(4))]
        assert kinds == [("hello", None), ("camera", "door"), ("camera", "yard"), ("summary", "yard")]

    def test_of_one_camera_it_begins_with_that_camera(self, live: LiveServer) -> None:
        live.states = [camera_state(), camera_state(camera="yard")]
        with live.viewer("yard") as viewer:
            assert viewer.wait("hello")["cameras"] == ["door", "yard"]
            assert viewer.wait("camera")["camera"] == "yard"

    def test_cameras_that_come_and_go_are_told_in_a_new_first_message(self, live: LiveServer) -> None:
        with live.viewer() as viewer:
            assert viewer.wait("hello")["cameras"] == ["door", "yard"]
            live.page.cameras_changed(["door", "roof"])
            assert viewer.wait("hello")["cameras"] == ["door", "roof"]
        assert live.feed.view("yard").summary is None

    def test_an_unknown_camera_is_a_clear_error(self, live: LiveServer) -> None:
        status, _, body = ask(live.server, "/api/1/events?camera=door&camera=attic")
        assert (status, json.loads(body)) == (404, {"error": "no camera has the name 'attic'"})

    def test_head_opens_no_stream(self, live: LiveServer) -> None:
        assert ask(live.server, "/api/1/events", method="HEAD")[0] == 200
        assert live.hub.viewers == 0

    @pytest.mark.parametrize(
        "headers", [{"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"origin": "http://evil.example"}]
    )
    def test_a_page_of_another_address_gets_no_stream(self, live: LiveServer, headers: dict[str, str]) -> None:
        assert ask(live.server, "/api/1/events", headers=headers)[0] == 403
        assert live.hub.viewers == 0

    def test_a_viewer_too_many_is_told_to_come_back(self, stack: ExitStack) -> None:
        live = stack.enter_context(LiveServer(max_viewers=2))
        first, _ = [stack.enter_context(live.viewer()) for _ in range(2)]
        status, headers, body = ask(live.server, "/api/1/events")
        assert (status, headers["retry-after"]) == (503, "10")
        assert "too many viewers" in json.loads(body)["error"]
        first.close()
        wait_until(lambda: live.hub.viewers == 1)
        with live.viewer() as viewer:
            assert viewer.wait("hello")

    def test_a_quiet_stream_has_comments(self, stack: ExitStack) -> None:
        live = stack.enter_context(LiveServer(timings=StreamTimings(keep_alive_s=0.01)))
        with live.viewer() as viewer:
            assert [line for line, _ in zip((line for line in viewer.lines() if line.startswith(b":")), range(3), strict=False)]

    def test_20_viewers_get_the_same_bytes(self, stack: ExitStack, live: LiveServer) -> None:
        viewers = [stack.enter_context(live.viewer()) for _ in range(20)]
        for viewer in viewers:
            viewer.wait("hello")
        live.feed.show(labelled_frame(3, labels=("happy", "sad")))
        frames = {next(event.raw for event in viewer.events() if event.kind == "frame") for viewer in viewers}
        assert len(frames) == 1

    def test_a_proxy_that_speaks_http_1_0_gets_the_stream_too(self, live: LiveServer) -> None:
        with socket.create_connection((live.server.address.host, live.server.address.port), timeout=20) as proxy:
            proxy.sendall(b"GET /api/1/events HTTP/1.0\r\nHost: localhost\r\n\r\n")
            stream = proxy.makefile("rb")
            assert any(line == b"event: hello\n" for line in stream)
            live.feed.show(labelled_frame(3))
            assert any(line == b"event: frame\n" for line in stream)
            stream.close()

    def test_a_closed_feed_ends_the_stream_in_order(self, live: LiveServer) -> None:
        with live.viewer() as viewer:
            viewer.wait("hello")
            live.feed.close()
            assert list(viewer.events()) == []
            assert viewer.answer.isclosed()
        assert ask(live.server, "/api/1/events")[0] == 503


class TestViewersThatMisbehave:
    """None of them costs more than a place, and that for a while only."""

    def test_a_viewer_that_goes_away_is_noticed(self, live: LiveServer) -> None:
        with live.viewer() as viewer:
            viewer.wait("hello")
            assert live.hub.viewers == 1
        wait_until(lambda: live.hub.viewers == 0)
        assert not live.hub.wants("door")

    def test_a_viewer_that_comes_and_goes_200_times_leaves_nothing(self, live: LiveServer) -> None:
        with live.viewer("door") as viewer:
            viewer.wait("hello")
        wait_until(lambda: live.hub.viewers == 0)
        files, threads = open_files(), threading.active_count()
        for number in range(200):
            with live.viewer("door", source=f"127.0.0.{number + 1}") as viewer:
                viewer.wait("hello")
                live.feed.show(labelled_frame(number))
        wait_until(lambda: live.hub.viewers == 0)
        wait_until(lambda: open_files() <= files)
        assert threading.active_count() == threads

    def test_a_viewer_that_never_reads_skips_frames_and_the_others_get_them(self, live: LiveServer) -> None:
        with live.viewer() as sleeper, live.viewer() as reader:
            sleeper.wait("hello")
            for index in range(1000):  # 10 MB
                live.feed.show(labelled_frame(index, labels=("happy",) * 20))
                assert reader.wait("frame")["index"] == index
            skipped = live.counters.snapshot().counts[SKIPPED, "door"]
            got = 0
            for event in sleeper.events():
                got += event.kind == "frame"
                if event.data.get("index") == 999:
                    break
            assert got + skipped == 1000
            assert skipped > 500

    def test_a_viewer_that_never_reads_is_dropped(self, stack: ExitStack) -> None:
        live = stack.enter_context(LiveServer(timings=StreamTimings(keep_alive_s=0.05, stalled_s=0.3)))
        with socket.create_connection((live.server.address.host, live.server.address.port), timeout=20) as sleeper:
            sleeper.sendall(b"GET /api/1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            wait_until(lambda: live.hub.viewers == 1)
            index = 0
            while live.hub.viewers:  # until the buffers of the system are full and the time is over
                live.feed.show(labelled_frame(index, labels=("happy",) * 100))
                index += 1
        assert ask(live.server, "/healthz")[0] == 200

    def test_a_viewer_that_never_reads_does_not_hold_up_the_end(self, live: LiveServer) -> None:
        with live.viewer() as sleeper:
            sleeper.wait("hello")
            index = 0
            while not live.counters.snapshot().counts.get((SKIPPED, "door")):
                live.feed.show(labelled_frame(index, labels=("happy",) * 100))
                index += 1
            live.feed.close()
            wait_until(lambda: live.hub.viewers == 0)  # long before it would be dropped as stalled

    def test_a_reading_viewer_outlives_the_limit_of_a_connection(self, stack: ExitStack) -> None:
        live = stack.enter_context(LiveServer(timings=StreamTimings(keep_alive_s=0.02), lifetime_s=0.5))
        with live.viewer() as viewer:
            viewer.wait("hello")
            for _ in range(40):
                assert next(line for line in viewer.lines() if line.startswith(b":"))
            live.feed.show(labelled_frame(4))
            assert viewer.wait("frame")["index"] == 4

    def test_more_viewers_than_connections_of_one_address_do_not_push_each_other_out(self, stack: ExitStack, live: LiveServer) -> None:
        viewers = [stack.enter_context(live.viewer()) for _ in range(30)]
        for viewer in viewers:
            viewer.wait("hello")
        for _ in range(20):
            assert ask(live.server, "/healthz")[0] == 200
        live.feed.show(labelled_frame(3))
        assert [viewer.wait("frame")["index"] for viewer in viewers] == [3] * 30

    def test_after_a_stream_the_connection_is_an_ordinary_one_again(self, live: LiveServer) -> None:
        connection = http.client.HTTPConnection(live.server.address.host, live.server.address.port, timeout=20)
        connection.request("GET", "/api/1/events")
        answer = connection.getresponse()
        wait_until(lambda: live.hub.viewers == 1)
        live.hub.close()
        answer.read()
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == 200
        connection.close()


class TestCommands:
    """Switching cameras by the page."""

    def test_a_camera_is_switched(self, live: LiveServer) -> None:
        assert switch(live, "door", b'{"enabled": false}') == (202, '{"name":"door","enabled":false}')
        assert switch(live, "yard", b'{"enabled": true}')[0] == 202
        assert live.switched == [("door", False), ("yard", True)]

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"[]",
            b"true",
            b'{"enabled": 1}',
            b'{"enabled": "true"}',
            b"{}",
            b'{"enabled": true, "x": 1}',
            b"\xff\xfe",
            b"[" * 1000,
        ],
    )
    def test_what_is_not_a_command_is_a_clear_error(self, live: LiveServer, body: bytes) -> None:
        status, text = switch(live, "door", body)
        assert (status, json.loads(text)) == (400, {"error": 'want {"enabled": true} or {"enabled": false}'})
        assert live.switched == []

    def test_a_long_body_is_refused(self, live: LiveServer) -> None:
        assert switch(live, "door", b" " * 5000 + b'{"enabled": true}')[0] in (400, 413)
        assert live.switched == []

    def test_an_unknown_camera_is_404(self, live: LiveServer) -> None:
        for name in ("attic", "..%2fdoor", "door/x"):
            assert switch(live, name, b'{"enabled": true}')[0] == 404

    def test_without_permission_it_is_403_and_says_what_to_set(self, stack: ExitStack) -> None:
        live = stack.enter_context(LiveServer(commands=False))
        status, text = switch(live, "door", b'{"enabled": true}')
        assert status == 403
        assert "mqtt.commands = true" in json.loads(text)["error"]

    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({"content-type": "text/plain"}, 415),  # a form of another page could send this
            ({}, 415),
            ({**JSON, "origin": "http://evil.example"}, 403),
            ({**JSON, "sec-fetch-site": "cross-site"}, 403),
            ({**JSON, "origin": "null"}, 403),
            ({"content-type": "application/json; charset=utf-8", "sec-fetch-site": "same-origin"}, 202),
        ],
    )
    def test_another_page_cannot_switch_cameras(self, live: LiveServer, headers: dict[str, str], status: int) -> None:
        assert switch(live, "door", b'{"enabled": false}', headers)[0] == status
        assert len(live.switched) == (status == 202)

    def test_the_page_itself_may(self, live: LiveServer) -> None:
        origin = f"http://{live.server.address}"
        assert switch(live, "door", b'{"enabled": false}', {**JSON, "origin": origin})[0] == 202


def test_a_page_of_fifteen_files_is_within_the_rate_limit(live: LiveServer) -> None:
    answers = [ask(live.server, "/api/1/state")[0] for _ in range(4 * 18)]  # opened four times in a moment
    assert set(answers) == {200}


def test_the_viewer_of_the_tests_sees_the_end_of_a_stream(live: LiveServer) -> None:
    viewer = Viewer(live.server.address)
    live.feed.close()
    with pytest.raises(AssertionError, match="ended before"):
        viewer.wait("frame")
    viewer.close()
