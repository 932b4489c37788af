"""Values of log events become fit for JSON, without secrets and control characters."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.logs.safe_values import as_text, safe_fields, safe_value, visible
from ferstream.runtime.redaction import forget_secrets, register_secret


def test_a_circular_list_becomes_text_at_the_sixth_level() -> None:
    loop: list[object] = []
    loop.append(loop)
    assert json.dumps(safe_value(loop)) == '[[[[[["[[...]]"]]]]]]'


def test_booleans_and_none_are_shown_even_for_a_secret_key() -> None:
    assert safe_fields({"password": None, "token": True, "secret": 0}) == {"password": None, "token": True, "secret": "***"}


def test_a_registered_number_is_masked() -> None:
    register_secret("123456")
    try:
        assert safe_value([123456, 12]) == ["***", 12]
    finally:
        forget_secrets()


def test_keys_are_redacted_too() -> None:
    assert safe_fields({"rtsp://u:p@h": {"rtsp://u:p@h": 1}}) == {"rtsp://***@h": {"rtsp://***@h": 1}}


@pytest.mark.parametrize(("value", "text"), [(b"a\xff", "a\\xff"), (ValueError("v"), "v"), (1, "1")])
def test_objects_become_their_text(value: object, text: str) -> None:
    assert as_text(value) == text


def test_visible_leaves_ordinary_text_alone() -> None:
    assert visible("Grüße 顔 €") == "Grüße 顔 €"
    assert visible("a\tb") == "a\\tb"


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(anything)
def test_every_value_can_be_written_as_json(value: object) -> None:
    json.dumps(safe_value(value), allow_nan=False)
