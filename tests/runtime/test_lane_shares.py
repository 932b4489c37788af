"""How busy lanes share their readers: in proportion to their weights, whatever their producers do."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.runtime.channel import Lane, Lanes, Overflow

WEIGHTS = st.lists(st.floats(0.5, 60.0), min_size=2, max_size=16)


def opened(weights: list[float]) -> tuple[Lanes[int], dict[str, Lane[int]]]:
    """Lanes of one place that drop, as those of live cameras."""
    lanes: Lanes[int] = Lanes()
    by_key = {}
    for place, weight in enumerate(weights):
        lane = by_key[str(place)] = lanes.open(str(place), capacity=1, overflow=Overflow.DROP_OLDEST)
        lane.set_weight(weight)
    return lanes, by_key


@given(WEIGHTS)
def test_busy_lanes_are_read_in_proportion_to_their_weights(weights: list[float]) -> None:
    lanes, by_key = opened(weights)
    taken: Counter[str] = Counter()
    for lane in by_key.values():
        lane.put(0)
    for number in range(600):
        key = lanes.take(0)[0]
        taken[key] += 1
        by_key[key].put(number)
    rounds = 600 / sum(weights)
    for key, weight in zip(by_key, weights, strict=True):
        # Waldspurger and Weihl 1995: the absolute error of stride scheduling grows with the number of clients only.
        assert abs(taken[key] - rounds * weight) <= len(weights) + 1


@given(WEIGHTS, st.floats(0.1, 0.8))
def test_producers_with_their_own_rhythm_get_the_same_share_of_it(weights: list[float], share: float) -> None:
    """Each lane gets ``weight`` items a second, and the reader takes ``share`` of all of them."""
    lanes, by_key = opened(weights)
    seconds = 400 / sum(weights) / share
    arrivals = [(number / weight, key) for key, weight in zip(by_key, weights, strict=True) for number in range(int(seconds * weight))]
    takes = [(number / (share * sum(weights)), "") for number in range(400)]
    served: Counter[str] = Counter()
    for _, key in sorted(arrivals + takes):
        if key:
            by_key[key].put(0)
        elif len(lanes):
            served[lanes.take(0)[0]] += 1
    for key, weight in zip(by_key, weights, strict=True):
        fair = share * seconds * weight
        assert abs(served[key] - fair) <= len(weights) + 1 + 0.15 * fair


def test_a_lane_that_was_empty_for_long_gets_no_more_than_its_share_later() -> None:
    lanes, by_key = opened([10.0, 10.0])
    busy, quiet = by_key["0"], by_key["1"]
    for number in range(100):
        busy.put(number)
        lanes.take(0)
    keys = []
    for number in range(10):
        for lane in (busy, quiet):
            lane.put(number)
        keys.append(lanes.take(0)[0])
    assert 5 <= keys.count("1") <= 6


def test_a_change_of_the_weight_does_not_punish_for_the_past() -> None:
    lanes, by_key = opened([1.0, 20.0])
    slow, fast = by_key["0"], by_key["1"]
    for number in range(5):
        slow.put(number)
        lanes.take(0)
    slow.set_weight(20.0)
    keys = []
    for number in range(10):
        for lane in (slow, fast):
            lane.put(number)
        keys.append(lanes.take(0)[0])
    assert 4 <= keys.count("0") <= 6


def test_a_refunded_item_is_no_service() -> None:
    lanes, by_key = opened([10.0, 10.0])
    for lane in by_key.values():
        lane.put(0)
    assert lanes.take(0)[0] == "0"
    lanes.refund("0")
    by_key["0"].put(1)
    assert lanes.take(0)[0] == "0"


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan")])
def test_a_weight_that_is_not_positive_is_an_error(weight: float) -> None:
    _, by_key = opened([1.0, 1.0])
    with pytest.raises(ValueError, match="weight > 0"):
        by_key["0"].set_weight(weight)
