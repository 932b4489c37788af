"""Answers to Basic and Digest challenges, against the examples of the RFCs."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.capture.credentials import Credentials
from ferstream.capture.http_auth import Authenticator, header_bytes, parse_challenges

RFC_7616 = (
    'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={}, '
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)
CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
JOE = Credentials("joe", "hunter2")


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_digest_with_qop_is_that_of_rfc_7616(algorithm: str, response: str) -> None:
    authenticator = Authenticator(Credentials("Mufasa", "Circle of Life"), new_nonce=lambda: CNONCE)
    assert authenticator.challenge([RFC_7616.format(algorithm)])
    header = authenticator.header("GET", "/dir/index.html")
    assert header is not None
    assert f'response="{response}"' in header
    assert "nc=00000001" in header
    assert "qop=auth" in header
    assert 'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"' in header


def test_digest_without_qop_is_that_of_rfc_2069() -> None:
    authenticator = Authenticator(Credentials("Mufasa", "CircleOfLife"))
    authenticator.challenge(['Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"'])
    header = authenticator.header("GET", "/dir/index.html")
    assert header is not None
    assert 'response="1949323746fe6a43ef61f9606e7febea"' in header
    assert "qop" not in header


def test_a_session_hash_is_that_of_its_definition() -> None:
    authenticator = Authenticator(JOE, new_nonce=lambda: "c")
    authenticator.challenge(['Digest realm="x", nonce="n", algorithm=MD5-sess, qop="auth"'])
    secret = md5(f"{md5('joe:x:hunter2')}:n:c")
    expected = md5(f"{secret}:n:00000001:c:auth:{md5('GET:/')}")
    assert f'response="{expected}"' in (authenticator.header("GET", "/") or "")


def test_nothing_is_sent_before_a_challenge() -> None:
    assert Authenticator(JOE).header("GET", "/") is None


@pytest.mark.parametrize("headers", [['Basic realm="x"', 'Digest realm="x", nonce="1"'], ['Basic realm="x", Digest realm="x", nonce="1"']])
def test_digest_is_preferred_because_it_does_not_send_the_password(headers: list[str]) -> None:
    authenticator = Authenticator(JOE)
    assert authenticator.challenge(headers)
    assert (authenticator.header("GET", "/") or "").startswith("Digest ")


def test_basic_is_answered_where_nothing_else_is_offered() -> None:
    authenticator = Authenticator(JOE)
    assert authenticator.challenge(['Digest realm="x", nonce="1", algorithm=FUTURE', 'Basic realm="x"'])
    assert authenticator.header("GET", "/") == "Basic am9lOmh1bnRlcjI="


def test_a_second_challenge_means_that_the_password_is_wrong_unless_the_nonce_was_stale() -> None:
    authenticator = Authenticator(JOE)
    assert authenticator.challenge(['Digest realm="x", nonce="1"'])
    assert authenticator.challenge(['Digest realm="x", nonce="2", stale=TRUE'], refused=True)
    assert not authenticator.challenge(['Digest realm="x", nonce="3"'], refused=True)
    assert authenticator.challenge(['Digest realm="x", nonce="4"'])  # of another request


@pytest.mark.parametrize("credentials", [None, Credentials("joe")])
def test_without_a_password_no_challenge_can_be_answered(credentials: Credentials | None) -> None:
    assert not Authenticator(credentials).challenge(['Basic realm="x"'])


@pytest.mark.parametrize("header", ["", "Digest", "Digest realm", 'Digest realm="x"', "Negotiate", 'Digest nonce="1", qop="token"'])
def test_other_challenges_are_not_answered(header: str) -> None:
    assert not Authenticator(JOE).challenge([header])


def test_quotes_in_the_user_name_are_escaped() -> None:
    authenticator = Authenticator(Credentials('j"oe', "hunter2"))
    authenticator.challenge(['Digest realm="x", nonce="1"'])
    assert r'username="j\"oe"' in (authenticator.header("GET", "/") or "")


def sha(text: str) -> str:
    return hashlib.new("sha512_256", text.encode()).hexdigest()


def test_a_hashed_user_name_is_that_of_the_erratum_of_rfc_7616() -> None:
    jason = Credentials("J\u00e4s\u00f8n Doe", "Secret, or not?")
    authenticator = Authenticator(jason, new_nonce=lambda: "c")
    challenge = 'Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, nonce="n", charset=UTF-8, userhash=true'
    assert authenticator.challenge([challenge])
    header = authenticator.header("GET", "/doe.json") or ""
    assert 'username="793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b"' in header
    assert "userhash=true" in header
    secret = sha("J\u00e4s\u00f8n Doe:api@example.org:Secret, or not?")
    response = sha(f"{secret}:n:00000001:c:auth:" + sha("GET:/doe.json"))
    assert f'response="{response}"' in header


def test_a_realm_is_used_as_the_bytes_that_the_camera_sent() -> None:
    realm = "\u7f51\u7edc\u6444\u50cf\u673a".encode("gb2312")
    authenticator = Authenticator(JOE)
    authenticator.challenge([f'Digest realm="{realm.decode("latin-1")}", nonce="1"'])
    sent = header_bytes(authenticator.header("GET", "/") or "")
    secret = hashlib.md5(b"joe:" + realm + b":hunter2").hexdigest()
    assert b'realm="' + realm + b'"' in sent
    response = md5(f"{secret}:1:" + md5("GET:/"))
    assert f'response="{response}"'.encode() in sent


def test_integrity_of_the_body_covers_an_empty_one() -> None:
    authenticator = Authenticator(JOE, new_nonce=lambda: "c")
    assert authenticator.challenge(['Digest realm="x", nonce="n", qop="auth-int"'])
    target = md5(f"GET:/:{md5('')}")
    response = md5(md5("joe:x:hunter2") + f":n:00000001:c:auth-int:{target}")
    assert f'response="{response}"' in (authenticator.header("GET", "/") or "")


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        (['Digest realm="a, b", nonce="1" , Basic realm="c"'], ["MD5 digest", "basic"]),
        (["Negotiate", "NTLM, Bearer realm=x"], ["negotiate", "ntlm", "bearer"]),
        (['Basic realm="Digest realm=x"'], ["basic"]),
        (['digest realm = "a", nonce = "1", algorithm = sha-256-sess'], ["SHA-256 digest"]),
        (["", ",,", 'realm="x"'], []),
    ],
)
def test_challenges_are_told_apart(headers: list[str], found: list[str]) -> None:
    assert [str(challenge) for challenge in parse_challenges(headers)] == found


def test_the_first_digest_that_can_be_answered_is_used() -> None:
    authenticator = Authenticator(JOE)
    authenticator.challenge(
        ['Digest realm="x", nonce="1", algorithm=FUTURE, Digest realm="x", nonce="2", algorithm=SHA-256', 'Digest nonce="3"']
    )
    assert 'nonce="2"' in (authenticator.header("GET", "/") or "")


@given(st.lists(st.text(alphabet=st.characters(max_codepoint=255), max_size=60), max_size=3))
def test_any_challenge_is_read_without_an_error(headers: list[str]) -> None:
    authenticator = Authenticator(JOE)
    if authenticator.challenge([*headers, *(f"Digest {header}" for header in headers)]):
        header_bytes(authenticator.header("GET", "/") or "")
