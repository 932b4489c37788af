"""Secrets planted anywhere in a record never come out, in any format."""

from __future__ import annotations

import io
import logging
from typing import Any
from urllib.parse import quote

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ferstream.logs import RepeatLimit, configure_logging
from ferstream.logs.setup import SafeHandler
from ferstream.runtime.redaction import forget_secrets, register_secret

# Letters that no word of a log line has, mixed with what needs quoting somewhere.
secrets = st.text("XQZ9\"'\\ %@:/?&=#äß€\n\t", min_size=6, max_size=16).filter(lambda text: sum(c in "XQZ9" for c in text) >= 4)
plain_secrets = st.text("XQZ9", min_size=8, max_size=16)
quiet = st.text("abc ", max_size=6)


def wrap(secret: str, shape: int, around: tuple[str, str]) -> Any:
    shapes: list[Any] = [
        f"{around[0]}{secret}{around[1]}",
        [around[0], {"inner": secret}],
        {secret: around[0]},
        {"deep": {"deeper": [{"deepest": (secret, 1)}]}},
        secret.encode(),
        ValueError(secret),
        f"rtsp://u:{quote(secret, safe='')}@cam/s",
        {"password": secret},
    ]
    return shapes[shape % len(shapes)]


def forms(secret: str) -> set[str]:
    """How a secret might look when it came out."""
    return {
        secret,
        repr(secret)[1:-1],
        quote(secret, safe=""),
        quote(secret),
        secret.replace("\\", "\\\\").replace('"', '\\"'),
        secret.replace("\n", "\\n"),
    }


def start(wanted: str) -> io.StringIO:
    """Log to the returned stream only: pytest's own handlers raise for wrong arguments."""
    stream = io.StringIO()
    configure_logging(level="debug", format=wanted, stream=stream, environ={}, limit=RepeatLimit(burst=10**6))
    root = logging.getLogger()
    root.handlers[:] = [handler for handler in root.handlers if isinstance(handler, SafeHandler)]
    return stream


def log_everywhere(value: Any, text: str) -> None:
    log, plain = structlog.get_logger("fuzz"), logging.getLogger("fuzz")
    log.warning(text, value=value, more=[value])
    log.bind(bound=value).error("bound %s", value)
    plain.warning("args %s %r", value, value)
    plain.warning("wrong %d", value)
    plain.warning(value)
    plain.warning("extra", extra={"field": value})
    try:
        raise RuntimeError(value) from ValueError(text)
    except RuntimeError:
        plain.exception("raised")
        log.exception("raised", value=value)


@pytest.mark.parametrize("wanted", ["console", "json"])
@given(secret=secrets, shape=st.integers(0, 7), around=st.tuples(quiet, quiet))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
def test_a_registered_secret_never_comes_out(wanted: str, secret: str, shape: int, around: tuple[str, str]) -> None:
    forget_secrets()
    register_secret(secret)
    stream = start(wanted)
    log_everywhere(wrap(secret, shape, around), f"{around[0]}{secret}")
    out = stream.getvalue()
    assert out
    assert not [form for form in forms(secret) if form in out]


SHAPES = [
    "rtsp://user:{}@cam.lan:554/s",
    "connect to https://{}@cam/x failed",
    "GET http://cam/s?user=a&token={}&x=1",
    "GET http://cam/s?access_token={}",
    "password={}",
    "mqtt_password: {}",
    '{{"password": "{}"}}',
    "{{'api_key': '{}'}}",
    "Authorization: Bearer {}",
    "authorization: Basic {}",
    "bearer {}",
    "--password {}",
    "secret = '{}'",
]


@pytest.mark.parametrize("wanted", ["console", "json"])
@pytest.mark.parametrize("shape", SHAPES)
@given(secret=plain_secrets)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_looks_like_a_secret_never_comes_out(wanted: str, shape: str, secret: str) -> None:
    stream = start(wanted)
    log_everywhere(shape.format(secret), shape.format(secret))
    assert secret not in stream.getvalue()
