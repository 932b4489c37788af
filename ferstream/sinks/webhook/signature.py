"""Signatures of Standard Webhooks: HMAC-SHA256 over id, timestamp and body."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence


def signature(key: bytes, *, event_id: str, timestamp_s: int, body: bytes) -> str:
    """Return one signature: ``v1,`` and the base64 of the HMAC.

    Args:
        key: The secret, decoded.
        event_id: Value of ``webhook-id``.
        timestamp_s: Value of ``webhook-timestamp``, UTC seconds since the epoch.
        body: Body of the request.
    """
    content = f"{event_id}.{timestamp_s}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()


def signed_headers(keys: Sequence[bytes], *, event_id: str, timestamp_s: int, body: bytes) -> dict[str, str]:
    """Return the headers of a request, with one signature per key; without keys there is no ``webhook-signature``.

    Two keys are for a rotation: receivers that know either of them accept the request.
    """
    headers = {"webhook-id": event_id, "webhook-timestamp": str(timestamp_s)}
    if keys:
        headers["webhook-signature"] = " ".join(signature(key, event_id=event_id, timestamp_s=timestamp_s, body=body) for key in keys)
    return headers
