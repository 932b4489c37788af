"""Which ``Host`` headers are answered: a name that somebody else gave this machine is not."""

from __future__ import annotations

import pytest

from ferstream.telemetry.hosts import HostNames

NAMES = HostNames(("Edge-1", "cam.corp.example"), ("faces.example.org",), any_address=True)
LOOPBACK = HostNames(any_address=False)


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost", True),
        ("localhost:9108", True),
        ("127.0.0.1:9108", True),
        ("[::1]:9108", True),
        ("[::1]", True),
        ("127.8.8.8", True),
        ("192.168.1.5", False),
        ("evil.example", False),
        ("evil.example:9108", False),
        ("127.0.0.1.evil.example", False),
        ("localhost:x@evil.example", False),
        ("localhost@evil.example", False),
        ("[::1]x", False),
        ("[::1]evil.example", False),
        ("[::1", False),
        ("::1", False),
        ("localhost:", False),
        ("", False),
        (None, False),
    ],
)
def test_without_a_token_only_this_machine_is_answered(host: str | None, local: bool) -> None:
    assert LOOPBACK.allows(host) is local


@pytest.mark.parametrize(
    "host",
    [
        "192.168.1.5:9108",
        "[fe80::1]:9108",
        "[2001:db8::1]",
        "edge-1",
        "EDGE-1:9108",
        "edge-1.",
        "edge-1.local",
        "edge-1.lan:80",
        "edge-1.home.arpa",
        "cam",
        "cam.local",
        "cam.corp.example",
        "faces.example.org",
        "localhost",
    ],
)
def test_addresses_own_names_and_configured_names_are_answered(host: str) -> None:
    assert NAMES.allows(host)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "edge-1.evil.example",
        "edge-1.com",
        "edge-2",
        "faces.local",
        "x.faces.example.org",
        "192.168.1.5.evil.example",
        "1.2.3",
    ],
)
def test_other_names_are_not(host: str) -> None:
    assert not NAMES.allows(host)
