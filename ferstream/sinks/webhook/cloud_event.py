"""The CloudEvents 1.0 envelope of an event, in JSON, for HTTP in structured mode."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from ferstream.outbox.entry import Delivery

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"

_TIME_KEYS = ("captured_at", "at", "since")
_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def event_id(delivery: Delivery) -> str:
    """Return the id of an event, the same at every attempt: ``boot_id/camera/schema/seq``; it can stand in a header."""
    return quote(f"{delivery.boot_id}/{delivery.camera}/{delivery.schema}/{delivery.seq}", safe="/")


def event_type(schema: str) -> str:
    """Return the type of a schema id: ``ferstream.track/1`` is ``ferstream.track.v1``.

    CloudEvents asks for dotted names with a prefix that names their owner; many routers filter on these parts.
    """
    name, _, version = schema.partition("/")
    return f"{name}.v{version}" if version else name


def envelope(delivery: Delivery) -> bytes:
    """Return the event in its envelope; ``data`` is the payload of the outbox, byte for byte.

    Raises:
        ValueError: The payload is not a JSON object.
    """
    payload: Any = json.loads(delivery.payload)
    if not isinstance(payload, dict):
        raise ValueError("the payload is not a JSON object")
    name, _, version = delivery.schema.partition("/")
    attributes = {
        "specversion": "1.0",
        "id": event_id(delivery),
        "source": f"ferstream/{quote(str(payload.get('node', '')), safe='')}/{quote(delivery.camera, safe='')}",
        "type": event_type(delivery.schema),
        "subject": delivery.camera,
        "datacontenttype": "application/json",
        "dataschema": f"urn:{name.replace('.', ':')}:{version}",
    }
    time = next((payload[key] for key in _TIME_KEYS if isinstance(payload.get(key), str)), None)
    if time is not None:
        attributes["time"] = time
    return _to_json(attributes)[:-1].encode() + b',"data":' + delivery.payload + b"}"
