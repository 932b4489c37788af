"""A webhook sink on a real HTTP server in the same process."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ferstream.runtime.backoff import Backoff
from ferstream.runtime.clock import Clock
from ferstream.runtime.counters import Counters
from ferstream.sinks.webhook.endpoint import WebhookEndpoint
from ferstream.sinks.webhook.sink import WebhookSink
from tests.support.fed_outbox import FedOutbox
from tests.support.webhook_server import WebhookServer

MakeSink = Callable[..., WebhookSink]


@pytest.fixture
def outbox() -> FedOutbox:
    return FedOutbox()


@pytest.fixture
def server() -> Iterator[WebhookServer]:
    with WebhookServer() as server:
        yield server


@pytest.fixture
def make_sink(outbox: FedOutbox, observer: Counters, caplog: pytest.LogCaptureFixture) -> Iterator[MakeSink]:
    """Makes and opens sinks with short waits; closes them, and looks for the secrets of the URL in the log."""
    caplog.set_level(logging.DEBUG)
    sinks: list[WebhookSink] = []

    def make(url: str, *, backoff: Backoff | None = None, on_fatal: Any = None, clock: Clock | None = None, **endpoint: Any) -> WebhookSink:
        sink = WebhookSink(
            endpoint=WebhookEndpoint(url=url, **endpoint),
            outbox=outbox,
            observer=observer,
            backoff=backoff or Backoff(floor_s=0.01, cap_s=0.02),
            clock=clock,
            on_fatal=on_fatal,
        )
        sinks.append(sink)
        sink.open()
        return sink

    yield make
    for sink in sinks:
        sink.close()
        assert not sink.alive
        assert "s3cr3t" not in sink.status().reason.lower()
    assert "s3cr3t" not in caplog.text.lower()
