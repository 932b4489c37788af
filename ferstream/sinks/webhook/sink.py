"""The webhook sink: posts track and summary events to a web server."""

from __future__ import annotations

import functools
import ssl
from collections.abc import Callable, Collection

from ferstream.events.schemas import SUMMARY, TRACK
from ferstream.outbox.outbox import Outbox
from ferstream.runtime.backoff import Backoff
from ferstream.runtime.clock import Clock, SystemClock
from ferstream.runtime.observer import Observer
from ferstream.sinks.delivery import Timings
from ferstream.sinks.network_sink import NetworkSink
from ferstream.sinks.request_workers import RequestWorkers
from ferstream.sinks.webhook.client import BODY_TIMEOUT_S, WebhookClient
from ferstream.sinks.webhook.endpoint import WebhookEndpoint

NAME = "webhook"
DEFAULT_SCHEMAS = (TRACK, SUMMARY)


class WebhookSink(NetworkSink):
    """Posts each event as a CloudEvent, signed as a Standard Webhook."""

    def __init__(
        self,
        *,
        endpoint: WebhookEndpoint,
        outbox: Outbox,
        observer: Observer,
        schemas: Collection[str] = DEFAULT_SCHEMAS,
        backoff: Backoff | None = None,
        timings: Timings | None = None,
        clock: Clock | None = None,
        on_fatal: Callable[[str, BaseException], None] | None = None,
    ) -> None:
        """Prepare; ``open`` starts the thread.

        Args:
            endpoint: Where the events go, how they are signed and whom to trust.
            outbox: Holds the events; the sink adds its reader, so it is not open yet.
            observer: Receives heartbeats and counts.
            schemas: Ids of the schemas to send.
            backoff: Waits between two attempts; by default 0.5 to 60 s.
            timings: Limits of the delivery loop.
            clock: Source of the timestamps.
            on_fatal: Called with the name and the error when the thread ends by a defect.

        Raises:
            ConfigError: The URL cannot be used.
        """
        super().__init__(
            name=NAME,
            outbox=outbox,
            schemas=schemas,
            transport=WebhookTransport(endpoint, clock or SystemClock()),
            observer=observer,
            backoff=backoff,
            timings=timings,
            on_fatal=on_fatal,
        )


class WebhookTransport(RequestWorkers):
    """Implements ``Transport`` over HTTP; reads the certificates when it is opened."""

    def __init__(self, endpoint: WebhookEndpoint, clock: Clock) -> None:
        endpoint.check()
        super().__init__(
            name=NAME,
            label=endpoint.label,
            make_client=self._client,
            max_in_flight=endpoint.max_in_flight,
            limit_s=endpoint.timeout_s + BODY_TIMEOUT_S,
        )
        self._endpoint, self._clock = endpoint, clock

    @functools.cached_property
    def _tls(self) -> ssl.SSLContext | None:
        return self._endpoint.tls_context() if self._endpoint.is_tls else None

    def open(self) -> None:
        """Read the certificates.

        Raises:
            ConfigError: ``ca_file`` cannot be used.
        """
        _ = self._tls

    def _client(self) -> WebhookClient:
        return WebhookClient(endpoint=self._endpoint, tls=self._tls, clock=self._clock)
