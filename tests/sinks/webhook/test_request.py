"""The envelope, the signature and the headers of a webhook request."""

from __future__ import annotations

import base64
import json
import time
from datetime import datetime

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from ferstream.events.schemas import FACE, STATE, SUMMARY, TRACK
from ferstream.outbox.entry import Delivery, Entry
from ferstream.sinks.webhook.client import retry_after_s
from ferstream.sinks.webhook.cloud_event import envelope, event_id, event_type
from ferstream.sinks.webhook.endpoint import WebhookEndpoint
from ferstream.sinks.webhook.signature import signed_headers
from tests.sinks.webhook.conftest import MakeSink
from tests.support.fed_outbox import CAPTURED_AT, FedOutbox, event_json
from tests.support.runners import PATIENCE_S
from tests.support.webhook_server import WebhookServer

KEY = b"0123456789abcdef0123456789abcdef"


def made(camera: str, schema: str, boot_id: str, seq: int, payload: bytes) -> Delivery:
    return Delivery(Entry(camera=camera, schema=schema, boot_id=boot_id, seq=seq, size=len(payload), payload=payload))


def delivery(schema: str = TRACK, *, camera: str = "door", seq: int = 17, node: str = "edge-1") -> Delivery:
    return made(camera, schema, "4f2a", seq, event_json(camera, schema, seq, node))


# -- the envelope ------------------------------------------------------------------------------


def test_an_envelope_has_the_attributes_of_a_cloud_event() -> None:
    event = json.loads(envelope(delivery()))
    data = event.pop("data")
    assert event == {
        "specversion": "1.0",
        "id": "4f2a/door/ferstream.track/1/17",
        "source": "ferstream/edge-1/door",
        "type": "ferstream.track.v1",
        "subject": "door",
        "time": CAPTURED_AT,
        "datacontenttype": "application/json",
        "dataschema": "urn:ferstream:track:1",
    }
    assert data == json.loads(delivery().payload)


def test_the_payload_is_in_the_envelope_byte_for_byte() -> None:
    assert b'"data":' + delivery().payload + b"}" in envelope(delivery())


@pytest.mark.parametrize(("key", "schema"), [("captured_at", FACE), ("at", SUMMARY), ("since", STATE)])
def test_the_time_is_that_of_the_event(key: str, schema: str) -> None:
    payload = json.dumps({"node": "n", key: CAPTURED_AT}).encode()
    assert json.loads(envelope(made("door", schema, "b", 0, payload)))["time"] == CAPTURED_AT


def test_an_event_without_a_time_has_none_in_its_envelope() -> None:
    assert "time" not in json.loads(envelope(made("door", TRACK, "b", 0, b'{"at": 5}')))


def test_the_source_is_a_valid_uri_reference_for_any_node_name() -> None:
    event = json.loads(envelope(delivery(node="Büro 1/links")))
    assert event["source"] == "ferstream/B%C3%BCro%201%2Flinks/door"


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b"1", b"\xff"])
def test_a_payload_that_is_not_a_json_object_is_an_error(payload: bytes) -> None:
    with pytest.raises(ValueError):
        envelope(made("door", TRACK, "b", 0, payload))


def test_ids_differ_by_run_camera_schema_and_number() -> None:
    several = [delivery(), delivery(FACE), delivery(seq=18), delivery(camera="hall"), made("door", TRACK, "other", 17, b"")]
    assert len({event_id(one) for one in several}) == len(several)


def test_an_id_can_stand_in_a_header() -> None:
    assert event_id(made("tür\r\nx: y", TRACK, "b", 0, b"")) == "b/t%C3%BCr%0D%0Ax%3A%20y/ferstream.track/1/0"


def test_a_type_has_dots_only() -> None:
    assert [event_type(schema) for schema in (FACE, TRACK, SUMMARY)] == ["ferstream.face.v1", "ferstream.track.v1", "ferstream.summary.v1"]


# -- the signature -----------------------------------------------------------------------------


@given(key=st.binary(min_size=1, max_size=64), seq=st.integers(0, 10**9), text=st.text(), node=st.text(max_size=20))
def test_every_signature_is_accepted_by_the_reference_library(key: bytes, seq: int, text: str, node: str) -> None:
    payload = json.dumps({"node": node, "text": text}, ensure_ascii=False).encode("utf-8", "surrogatepass")
    if any("\ud800" <= character <= "\udfff" for character in text + node):
        return
    one = made("door", TRACK, "4f2a", seq, payload)
    body = envelope(one)
    headers = signed_headers([key], event_id=event_id(one), timestamp_s=int(time.time()), body=body)
    secret = "whsec_" + base64.b64encode(key).decode()
    assert Webhook(secret).verify(body, headers)["data"]["text"] == text


@given(key=st.binary(min_size=1, max_size=64), position=st.integers(0, 10**6), flipped=st.integers(1, 255))
def test_a_changed_body_is_not_accepted(key: bytes, position: int, flipped: int) -> None:
    body = bytearray(envelope(delivery()))
    headers = signed_headers([key], event_id="id", timestamp_s=int(time.time()), body=bytes(body))
    body[position % len(body)] ^= flipped
    with pytest.raises((WebhookVerificationError, UnicodeDecodeError)):
        Webhook(key).verify(bytes(body), headers)


def test_a_changed_id_or_time_is_not_accepted() -> None:
    now = int(time.time())
    headers = signed_headers([KEY], event_id="id", timestamp_s=now, body=b"{}")
    Webhook(KEY).verify(b"{}", headers)
    for change in ({"webhook-id": "other"}, {"webhook-timestamp": str(now + 1)}):
        with pytest.raises(WebhookVerificationError):
            Webhook(KEY).verify(b"{}", headers | change)


def test_two_keys_make_two_signatures_and_either_is_accepted() -> None:
    headers = signed_headers([KEY, b"the new one"], event_id="id", timestamp_s=int(time.time()), body=b"{}")
    assert len(headers["webhook-signature"].split(" ")) == 2
    for key in (KEY, b"the new one"):
        Webhook(key).verify(b"{}", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(b"another one").verify(b"{}", headers)


def test_the_ten_lines_of_the_documentation_verify_a_signature() -> None:
    import re
    from pathlib import Path

    page = (Path(__file__).resolve().parents[3] / "docs" / "sinks.md").read_text()
    (code,) = re.findall(r"```python\n(import base64.*?)```", page, re.DOTALL)
    scope: dict[str, object] = {}
    exec(code, scope)
    verify = scope["verify"]
    assert callable(verify)
    secret = "whsec_" + base64.b64encode(KEY).decode()
    headers = signed_headers([b"old", KEY], event_id="id", timestamp_s=int(time.time()), body=b"{}")
    assert verify(secret, headers, b"{}") is True
    assert verify(secret, headers, b"{ }") is False
    assert verify("whsec_" + base64.b64encode(b"other").decode(), headers, b"{}") is False
    old = signed_headers([KEY], event_id="id", timestamp_s=int(time.time()) - 3600, body=b"{}")
    assert verify(secret, old, b"{}") is False


# -- the request -------------------------------------------------------------------------------


def test_a_request_is_signed_and_has_the_content_type_of_a_cloud_event(
    make_sink: MakeSink, server: WebhookServer, outbox: FedOutbox
) -> None:
    outbox.put()
    sink = make_sink(server.url, signing_keys=(KEY,))
    assert sink.flush(PATIENCE_S) == 0
    (request,) = server.accepted
    assert request.path == "/hooks/S3CR3T-path?token=t0k3n-s3cr3t"
    assert request.headers["Content-Type"] == "application/cloudevents+json; charset=utf-8"
    assert request.headers["User-Agent"].startswith("ferstream/")
    event = Webhook(KEY).verify(request.body, dict(request.headers))
    assert event["id"] == request.headers["webhook-id"]


def test_the_cloudevents_library_reads_a_request(make_sink: MakeSink, server: WebhookServer, outbox: FedOutbox) -> None:
    outbox.put()
    sink = make_sink(server.url)
    assert sink.flush(PATIENCE_S) == 0
    (request,) = server.accepted
    event = from_http_event(HTTPMessage(headers=dict(request.headers), body=request.body))
    assert event.get_id() == f"boot/door/{TRACK}/0"
    assert event.get_source() == "ferstream/edge-1/door"
    assert event.get_type() == "ferstream.track.v1"
    assert event.get_subject() == "door"
    assert event.get_time() == datetime.fromisoformat(CAPTURED_AT)
    assert event.get_datacontenttype() == "application/json"
    assert event.get_dataschema() == "urn:ferstream:track:1"
    assert event.get_data() == json.loads(event_json("door", TRACK, 0))


def test_a_request_without_a_key_has_no_signature(make_sink: MakeSink, server: WebhookServer, outbox: FedOutbox) -> None:
    outbox.put()
    sink = make_sink(server.url)
    assert sink.flush(PATIENCE_S) == 0
    assert "webhook-signature" not in server.accepted[0].headers


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://h", "/"),
        ("http://h/", "/"),
        ("http://h/a%20b/ü?x=1&y=%2F#fragment", "/a%20b/%C3%BC?x=1&y=%2F"),
        ("http://h/a b?c d", "/a%20b?c%20d"),
        ("http://h?q", "/?q"),
    ],
)
def test_the_target_of_a_request_is_the_path_and_query_of_the_url(url: str, target: str) -> None:
    assert WebhookEndpoint(url=url).target == target


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("", 0),
        ("0", 0),
        ("120", 120),
        (" 7 ", 7),
        ("-5", 0),
        ("1.5", 0),
        ("soon", 0),
        ("Sat, 21 Nov 2026 20:31:40 GMT", 5),
        ("Sat, 21 Nov 2026 20:31:40 -0000", 5),
        ("Sat, 21 Nov 2026 20:31:00 GMT", 0),
        ("٣", 0),
    ],
)
def test_retry_after_is_a_number_of_seconds_or_a_date(value: str, seconds: float) -> None:
    assert retry_after_s(value, now_s=1_795_293_095.0) == seconds
