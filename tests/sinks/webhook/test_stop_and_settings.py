"""How the webhook sink stops and fails, and which URLs it accepts."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from ferstream.errors import ConfigError
from ferstream.runtime.clock import SystemClock
from ferstream.runtime.counters import Counters
from ferstream.sinks.webhook.endpoint import WebhookEndpoint
from ferstream.sinks.webhook.sink import WebhookSink
from tests.sinks.webhook.conftest import MakeSink
from tests.support.fed_outbox import FedOutbox
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


def test_a_stop_interrupts_a_running_request(make_sink: MakeSink, server: WebhookServer, outbox: FedOutbox) -> None:
    def hang(_: Request) -> Answer:
        server.stopping.wait(PATIENCE_S)
        return Answer()

    server.answer = hang
    outbox.put_many(9, CAMERAS)
    sink = make_sink(server.url, timeout_s=600)
    for _ in CAMERAS:
        server.wait_for_request()
    sink.close()
    assert not sink.alive
    assert not [thread for thread in threading.enumerate() if thread.name == "webhook request"]
    assert outbox.made.counts().events == 9  # nothing is lost


def test_a_stop_waits_a_moment_for_a_response_that_comes(make_sink: MakeSink, server: WebhookServer, outbox: FedOutbox) -> None:
    go = threading.Event()

    def answer(_: Request) -> Answer:
        go.wait(PATIENCE_S)
        return Answer()

    server.answer = answer
    outbox.put()
    sink = make_sink(server.url)
    server.wait_for_request()
    closing = threading.Thread(target=sink.close)
    closing.start()
    go.set()
    closing.join(PATIENCE_S)
    assert outbox.made.counts().acknowledged == 1


def test_a_defect_ends_the_thread_and_is_reported(make_sink: MakeSink, server: WebhookServer, outbox: FedOutbox) -> None:
    reported: list[tuple[str, BaseException]] = []
    failed = threading.Event()

    def on_fatal(name: str, error: BaseException) -> None:
        reported.append((name, error))
        failed.set()

    sink = make_sink(server.url, on_fatal=on_fatal, clock=BrokenClock())
    outbox.put()
    assert failed.wait(PATIENCE_S)
    assert reported[0][0] == "webhook"
    assert isinstance(reported[0][1], ZeroDivisionError)
    wait_until(lambda: not sink.alive)
    assert "internal error" in sink.status().reason


@pytest.mark.parametrize("url", ["ftp://host/", "http:///path", "https://", "http://host:99999/", "http://user:s3cr3t@host/"])
def test_a_url_that_cannot_be_used_is_a_settings_error(url: str) -> None:
    with pytest.raises(ConfigError, match=r"webhook\.url") as caught:
        WebhookSink(endpoint=WebhookEndpoint(url=url), outbox=FedOutbox(), observer=Counters())
    assert "s3cr3t" not in str(caught.value)


def test_the_secrets_of_an_endpoint_are_not_in_its_repr() -> None:
    endpoint = WebhookEndpoint(url="https://host/hooks/S3CR3T?token=x", signing_keys=(b"k3y",))
    assert "S3CR3T" not in repr(endpoint)
    assert "k3y" not in repr(endpoint)
    assert endpoint.label == "https://host:443"
