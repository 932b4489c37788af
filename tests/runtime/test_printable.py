"""Names and numbers as they are shown."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.runtime.printable import plain_number, printable


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"plain $5 %s {0}.jpg", "plain $5 %s {0}.jpg"),
        ("\u00e4\u65e5.jpg".encode(), "\u00e4\u65e5.jpg"),
        (b"caf\xe9.jpg", r"caf\xe9.jpg"),
        (b"a\nb\tc\x1b[31m", r"a\nb\tc\x1b[31m"),
    ],
)
def test_the_name_of_a_file_is_shown_on_one_line(name: bytes, shown: str) -> None:
    assert printable(os.fsdecode(name)) == shown


@given(st.binary(max_size=40))
def test_any_name_can_be_printed_encoded_and_put_into_json(name: bytes) -> None:
    shown = printable(os.fsdecode(name))
    assert shown.isprintable()
    assert json.loads(json.dumps(shown, ensure_ascii=False).encode()) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (48_000, "48000"),
        (90_000.0, "90000"),
        (1e9, "1000000000"),
        (29.97002997, "29.97"),
        (25.0, "25"),
        (119.88, "119.9"),
        (0.0033333, "0.003333"),
        (0.00001, "0.00001"),
        (0.0, "0"),
        (-48_000.5, "-48000"),
        (1e-300, "0." + "0" * 299 + "1"),
        (float("inf"), "inf"),
    ],
)
def test_numbers_have_no_exponent(value: float, shown: str) -> None:
    assert plain_number(value) == shown


@given(st.floats(min_value=1e-9, max_value=1e15))
def test_a_number_keeps_its_first_digits(value: float) -> None:
    assert "e" not in plain_number(value)
    assert float(plain_number(value)) == pytest.approx(value, rel=1e-3)
