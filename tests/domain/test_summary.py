"""Which expression a summary calls dominant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.domain.emotion import LABELS, UNKNOWN
from ferstream.domain.event import Summary

ORDER = (*LABELS, UNKNOWN)


def dominant(counts: dict[str, int]) -> str | None:
    return Summary("door", 0, 10.0, counts, 1).dominant


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({}, None),
        ({"happy": 0, "unknown": 0}, None),
        ({"happy": 1}, "happy"),
        ({"sad": 3, "happy": 4}, "happy"),
        ({"neutral": 2, "angry": 2}, "angry"),
        ({"unknown": 2, "neutral": 2}, "neutral"),
        ({"unknown": 3, "neutral": 2}, "unknown"),
    ],
)
def test_the_label_with_the_most_observations(counts: dict[str, int], expected: str | None) -> None:
    assert dominant(counts) == expected


@given(st.dictionaries(st.sampled_from(ORDER), st.integers(0, 5)))
def test_it_has_the_highest_count_and_is_the_first_of_equal_ones(counts: dict[str, int]) -> None:
    found = dominant(counts)
    most = max(counts.values(), default=0)
    assert found == (next(label for label in ORDER if counts.get(label, 0) == most) if most else None)
