"""The webhook sink against a real HTTP server: what arrives, what is sent again, what is dropped, and how it stops."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from ferstream.domain.message import Message
from ferstream.domain.ports import Sink
from ferstream.events.schemas import FACE, SUMMARY, TRACK
from ferstream.runtime.backoff import Backoff
from ferstream.runtime.clock import SystemClock
from ferstream.runtime.counters import Counters
from ferstream.sinks.delivery import Timings
from ferstream.sinks.webhook.endpoint import WebhookEndpoint
from ferstream.sinks.webhook.sink import WebhookSink
from tests.sinks.webhook.conftest import MakeSink
from tests.support.fed_outbox import FedOutbox
from tests.support.http_stub import free_port, http_body_then_silence, says, says_nothing, serving
from tests.support.runners import PATIENCE_S
from tests.support.threads import wait_until
from tests.support.webhook_server import Answer, Request, WebhookServer

pytestmark = pytest.mark.usefixtures("no_new_threads")

NO_CONTENT = Answer(204)
CAMERAS = ("door", "hall", "yard")


class BrokenClock(SystemClock):
    """A clock with a defect."""

    def utc_ns(self) -> int:
        return 1 // 0


def first_then(first: Answer, then: Answer = NO_CONTENT) -> Callable[[Request], Answer]:
    """Answer the first request one way and all others another way."""
    answers = [first]
    return lambda _: answers.pop() if answers else then


def seqs(server: WebhookServer, camera: str = "door") -> list[int]:
    return [request.seq for request in server.accepted if request.camera == camera]


def test_it_is_a_sink(make_sink: MakeSink, server: WebhookServer) -> None:
    sink: Sink = make_sink(server.url)
    sink.write(Message(TRACK, "door", "boot", 0, b"{}"))
    assert sink.name == "webhook"
    assert sink.flush(PATIENCE_S) == 0
    assert not server.accepted


def test_events_arrive_in_order_per_camera_over_few_connections(make_sink: MakeSink, server: WebhookServer, outbox: FedOutbox) -> None:
    outbox.put_many(90, CAMERAS)
    sink = make_sink(server.url)
    assert sink.flush(PATIENCE_S) == 0
    for camera in CAMERAS:
        assert seqs(server, camera) == list(range(30))
    assert server.connections <= 4
    assert outbox.made.counts().acknowledged == 90
    assert sink.status().connected is True


def test_an_event_put_while_the_sink_is_idle_is_sent_at_once(make_sink: MakeSink, server: WebhookServer, outbox: FedOutbox) -> None:
    sink = make_sink(server.url)
    wait_until(lambda: sink.status().connected is True)
    outbox.put()
    server.wait_for_request()
    assert sink.flush(PATIENCE_S) == 0


def test_track_and_summary_events_are_sent_by_default() -> None:
    outbox = FedOutbox()
    WebhookSink(endpoint=WebhookEndpoint(url="http://localhost:1/"), outbox=outbox, observer=Counters())
    assert outbox.made.name == "webhook"
    assert set(outbox.made.schemas) == {TRACK, SUMMARY}


def test_face_events_are_sent_on_request() -> None:
    outbox = FedOutbox()
    WebhookSink(endpoint=WebhookEndpoint(url="http://localhost:1/"), outbox=outbox, observer=Counters(), schemas=(FACE,))
    assert set(outbox.made.schemas) == {FACE}


@pytest.mark.parametrize("status", [408, 429, 500, 501, 502, 503, 504, 599])
def test_a_server_error_is_tried_again(
    make_sink: MakeSink, server: WebhookServer, outbox: FedOutbox, observer: Counters, status: int
) -> None:
    server.answer = first_then(Answer(status))
    outbox.put()
    outbox.put()
    sink = make_sink(server.url)
    wait_until(lambda: outbox.made.counts().acknowledged == 2)
    assert sink.flush(PATIENCE_S) == 0
    assert seqs(server) == [0, 0, 1]
    assert outbox.made.counts().dropped == {}
    assert observer.snapshot().counts["sink_retries", "webhook"] == 1
    assert observer.snapshot().counts["sink_resent", "webhook"] >= 1


def test_the_id_of_an_event_is_the_same_at_every_attempt(make_sink: MakeSink, server: WebhookServer, outbox: FedOutbox) -> None:
    server.answer = first_then(Answer(500))
    outbox.put()
    make_sink(server.url)
    wait_until(lambda: outbox.made.counts().acknowledged == 1)
    first, second = server.accepted
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == first.event["id"] == f"boot/door/{TRACK}/0"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413, 422, 499])
def test_a_client_error_drops_that_event_and_no_other(
    make_sink: MakeSink, server: WebhookServer, outbox: FedOutbox, observer: Counters, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    server.answer = lambda request: Answer(status if request.seq in (1, 2) else 200)
    outbox.put_many(5)
    sink = make_sink(server.url)
    assert sink.flush(PATIENCE_S) == 0
    assert seqs(server) == [0, 1, 2, 3, 4]
    assert outbox.made.counts().dropped == {"rejected": 2}
    assert outbox.made.counts().acknowledged == 3
    assert observer.snapshot().counts["sink_rejected", "webhook"] == 2
    assert caplog.text.count(f"refuses events ({status}") == 1


def test_a_payload_that_is_not_json_is_dropped(make_sink: MakeSink, server: WebhookServer, outbox: FedOutbox) -> None:
    outbox.put(payload=b"{")
    outbox.put()
    sink = make_sink(server.url)
    assert sink.flush(PATIENCE_S) == 0
    assert seqs(server) == [1]
    assert outbox.made.counts().dropped == {"rejected": 1}


def test_retry_after_is_honoured(make_sink: MakeSink, server: WebhookServer, outbox: FedOutbox, caplog: pytest.LogCaptureFixture) -> None:
    server.answer = first_then(Answer(429, {"Retry-After": "1200"}))
    outbox.put()
    sink = make_sink(server.url)
    wait_until(lambda: "retrying in" in caplog.text)
    assert "answered 429 Too Many Requests; retrying in 1200.0 s" in caplog.text
    assert sink.status().connected is False
    sink.close()  # a stop interrupts the wait
    assert not sink.alive
    assert outbox.made.counts().events == 1


def test_the_wait_that_a_server_asks_for_has_a_limit(
    make_sink: MakeSink, server: WebhookServer, outbox: FedOutbox, caplog: pytest.LogCaptureFixture
) -> None:
    server.answer = first_then(Answer(503, {"Retry-After": "99999999"}))
    outbox.put()
    make_sink(server.url)
    wait_until(lambda: "retrying in 3600.0 s" in caplog.text)


def test_a_redirect_is_not_followed(make_sink: MakeSink, outbox: FedOutbox, server: WebhookServer) -> None:
    with WebhookServer(lambda _: Answer(308, {"Location": server.url})) as redirecting:
        outbox.put()
        sink = make_sink(redirecting.url)
        wait_until(lambda: "redirects" in sink.status().reason)
        assert "to http://localhost (308 Permanent Redirect), which is not followed" in sink.status().reason
        sink.close()
    assert not server.accepted
    assert outbox.made.counts().events == 1


@pytest.mark.parametrize("halts", [True, False])
def test_a_later_event_never_overtakes_one_that_is_retried(
    make_sink: MakeSink, server: WebhookServer, outbox: FedOutbox, halts: bool
) -> None:
    lock = threading.Lock()
    tried: dict[tuple[str, int], int] = {}
    accepted: list[tuple[str, int]] = []

    def answer(request: Request) -> Answer:
        key = (request.camera, request.seq)
        with lock:
            tried[key] = tried.get(key, 0) + 1
            if request.seq % 3 == 1 and tried[key] <= 2:
                return Answer(503 if halts else 500)
            accepted.append(key)
            return Answer()

    server.answer = answer
    outbox.put_many(30, CAMERAS)
    make_sink(server.url)
    wait_until(lambda: outbox.made.counts().acknowledged == 30)
    for camera in CAMERAS:
        assert [seq for name, seq in accepted if name == camera] == list(range(10))


def test_an_event_that_always_fails_holds_up_its_camera_only_and_is_dropped_in_the_end(
    make_sink: MakeSink, server: WebhookServer, outbox: FedOutbox
) -> None:
    server.answer = lambda request: Answer(500 if (request.camera, request.seq) == ("door", 0) else 200)
    sink = make_sink(server.url)
    outbox.put_many(2)
    while outbox.made.counts().dropped == {}:  # the hall goes on all the time
        outbox.put("hall")
        server.wait_for_request()
    assert outbox.made.counts().dropped == {"refused": 1}
    wait_until(lambda: sink.flush(PATIENCE_S) == 0)
    assert seqs(server).count(0) >= Timings().max_attempts
    assert seqs(server)[-1] == 1


def test_an_event_that_always_fails_is_kept_while_nothing_else_is_accepted(
    make_sink: MakeSink, server: WebhookServer, outbox: FedOutbox
) -> None:
    server.answer = lambda _: Answer(500)
    outbox.put()
    make_sink(server.url)
    wait_until(lambda: len(server.accepted) > 2 * Timings().max_attempts)
    assert outbox.made.counts().dropped == {}


def test_a_connection_that_ends_without_a_response_is_tried_again(make_sink: MakeSink, server: WebhookServer, outbox: FedOutbox) -> None:
    server.answer = first_then(Answer(0))
    outbox.put_many(3)
    make_sink(server.url)
    wait_until(lambda: outbox.made.counts().acknowledged == 3)
    assert sorted(set(seqs(server))) == [0, 1, 2]


def test_a_kept_connection_that_the_server_closed_costs_no_back_off(
    make_sink: MakeSink, server: WebhookServer, outbox: FedOutbox, observer: Counters
) -> None:
    server.answer = first_then(Answer(200, {"Connection": "close"}))
    sink = make_sink(server.url, backoff=Backoff(floor_s=3600, cap_s=3600))
    outbox.put()
    assert sink.flush(PATIENCE_S) == 0
    outbox.put()
    assert sink.flush(PATIENCE_S) == 0
    assert ("sink_retries", "webhook") not in observer.snapshot().counts


def test_a_server_that_restarts_gets_everything(make_sink: MakeSink, server: WebhookServer, outbox: FedOutbox) -> None:
    sink = make_sink(server.url)
    outbox.put_many(5)
    assert sink.flush(PATIENCE_S) == 0
    server.stop()
    outbox.put_many(5)
    wait_until(lambda: sink.status().connected is False)
    assert "connection refused" in sink.status().reason
    assert outbox.made.counts().events == 5
    server.start()
    wait_until(lambda: outbox.made.counts().acknowledged == 10)
    assert list(dict.fromkeys(seqs(server))) == list(range(10))
    assert sink.status().connected is True


def test_a_server_that_never_answers_is_left_after_the_timeout(make_sink: MakeSink, outbox: FedOutbox) -> None:
    with serving(says_nothing) as port:
        outbox.put()
        sink = make_sink(f"http://127.0.0.1:{port}/", timeout_s=0.2)
        wait_until(lambda: "no response within 0.2 s" in sink.status().reason)
        assert outbox.made.counts().events == 1
        sink.close()


def test_a_server_that_trickles_its_response_is_left_after_the_timeout(make_sink: MakeSink, outbox: FedOutbox) -> None:
    def trickle(connection: object, stop: threading.Event) -> None:
        import socket

        assert isinstance(connection, socket.socket)
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while not stop.wait(0.05):
            connection.sendall(b"x")

    with serving(trickle) as port:
        outbox.put()
        sink = make_sink(f"http://127.0.0.1:{port}/", timeout_s=0.3)
        wait_until(lambda: "no response within" in sink.status().reason)
        sink.close()


@pytest.mark.parametrize("body", [b"x" * 200_000, b""])
def test_the_body_of_a_response_does_not_matter(make_sink: MakeSink, server: WebhookServer, outbox: FedOutbox, body: bytes) -> None:
    server.answer = lambda _: Answer(200, body=body)
    outbox.put_many(3)
    sink = make_sink(server.url)
    assert sink.flush(PATIENCE_S) == 0
    assert seqs(server) == [0, 1, 2]


def test_a_body_that_never_ends_does_not_matter(make_sink: MakeSink, outbox: FedOutbox) -> None:
    with serving(http_body_then_silence("text/plain", b"ok")) as port:
        outbox.put()
        sink = make_sink(f"http://127.0.0.1:{port}/")
        assert sink.flush(PATIENCE_S) == 0
        sink.close()


def test_something_that_is_not_http_is_named_so(make_sink: MakeSink, outbox: FedOutbox) -> None:
    with serving(says("SSH-2.0-OpenSSH_9.9\r\n")) as port:
        outbox.put()
        sink = make_sink(f"http://127.0.0.1:{port}/")
        wait_until(lambda: "not valid HTTP" in sink.status().reason)
        sink.close()


def test_the_connection_is_tried_before_the_first_event(make_sink: MakeSink) -> None:
    sink = make_sink(f"http://127.0.0.1:{free_port()}/")
    wait_until(lambda: "connection refused" in sink.status().reason)
    assert sink.status().connected is False


def test_an_unknown_host_is_named_so(make_sink: MakeSink) -> None:
    sink = make_sink("http://no-such-host.invalid/hooks/S3CR3T")
    wait_until(lambda: sink.status().reason == "http://no-such-host.invalid:80: unknown host")
