"""The webhook sink and TLS: an own certificate authority, a wrong one, a wrong name, a port without TLS."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from ferstream.errors import ConfigError
from tests.sinks.webhook.conftest import MakeSink
from tests.support.fed_outbox import FedOutbox
from tests.support.runners import PATIENCE_S
from tests.support.threads import wait_until
from tests.support.webhook_server import WebhookServer

pytestmark = pytest.mark.usefixtures("no_new_threads")


def context(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture
def tls_server(authority: trustme.CA) -> Iterator[WebhookServer]:
    with WebhookServer(tls=context(authority, "localhost")) as server:
        yield server


def test_events_arrive_over_tls_on_kept_connections(
    make_sink: MakeSink, tls_server: WebhookServer, outbox: FedOutbox, ca_file: Path
) -> None:
    outbox.put_many(20)
    sink = make_sink(tls_server.url, ca_file=ca_file)
    assert sink.flush(PATIENCE_S) == 0
    assert [request.seq for request in tls_server.accepted] == list(range(20))
    assert tls_server.connections == 1


def test_a_certificate_of_another_authority_is_not_trusted(
    make_sink: MakeSink, tls_server: WebhookServer, outbox: FedOutbox, tmp_path: Path
) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    outbox.put()
    sink = make_sink(tls_server.url, ca_file=other)
    wait_until(lambda: "is not trusted" in sink.status().reason)
    assert "webhook.ca_file" in sink.status().reason
    assert not tls_server.accepted
    sink.close()


def test_the_authorities_of_the_system_do_not_include_an_own_one(make_sink: MakeSink, tls_server: WebhookServer, outbox: FedOutbox) -> None:
    outbox.put()
    sink = make_sink(tls_server.url)
    wait_until(lambda: "is not trusted" in sink.status().reason)
    assert not tls_server.accepted
    sink.close()


def test_a_certificate_for_another_name_is_not_trusted(
    make_sink: MakeSink, authority: trustme.CA, outbox: FedOutbox, ca_file: Path
) -> None:
    with WebhookServer(tls=context(authority, "elsewhere.example")) as server:
        outbox.put()
        sink = make_sink(server.url, ca_file=ca_file)
        wait_until(lambda: "is not trusted" in sink.status().reason)
        assert not server.accepted
        sink.close()


def test_a_port_without_tls_is_named_so(make_sink: MakeSink, server: WebhookServer, outbox: FedOutbox, ca_file: Path) -> None:
    outbox.put()
    sink = make_sink(server.url.replace("http://", "https://"), ca_file=ca_file)
    wait_until(lambda: "no TLS connection" in sink.status().reason)
    sink.close()


@pytest.mark.parametrize("content", [None, "not a certificate"])
def test_a_ca_file_that_cannot_be_used_is_a_settings_error(make_sink: MakeSink, tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=r"webhook\.ca_file"):
        make_sink("https://localhost:1/", ca_file=path)
