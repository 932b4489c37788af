"""Media times that never decrease, and a choice of frames that does not drift."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.capture.timing import LiveTimeline, MediaTimeline, Sampler

MS = 1_000_000
STEP = 40 * MS
PTS = st.lists(st.one_of(st.none(), st.integers(-(10**15), 10**15)), max_size=60)


def times_of(pts_ms: list[int | None]) -> list[int]:
    timeline = MediaTimeline(step_ns=STEP, longest_gap_ns=10_000 * MS)
    return [timeline.at(None if pts is None else pts * MS) // MS for pts in pts_ms]


@pytest.mark.parametrize(
    ("pts", "expected"),
    [
        ([0, 40, 80], [0, 40, 80]),
        ([1000, 1040, 1080], [0, 40, 80]),
        ([-80, -40, 0], [0, 40, 80]),
        ([0, 33, 100, 101], [0, 33, 100, 101]),
        ([None, None, None], [0, 40, 80]),
        ([0, None, 80], [0, 40, 80]),
        ([None, 500, 540], [0, 40, 80]),
        ([0, 0, 0], [0, 40, 80]),
        ([0, 80, 40, 120, 160], [0, 80, 120, 160, 200]),
        ([0, 40, 5000, 10, 50], [0, 40, 5000, 5040, 5080]),
        ([0, 40, 10_040, 10_080], [0, 40, 10_040, 10_080]),  # the longest gap
        ([0, 40, 10_041, 10_081], [0, 40, 80, 120]),
        ([0, 40, 3_600_000, 3_600_040], [0, 40, 80, 120]),
        ([3_600_000, 3_600_040, 0, 40], [0, 40, 80, 120]),
        ([0, 40, 95_443_717, 80, 120], [0, 40, 80, 120, 160]),  # one wrong PTS
        ([95_443_680, 0, 40], [0, 40, 80]),  # 2^33 ticks of 90 kHz
        ([0, 3_600_000, None, 3_600_080, 0], [0, 40, 80, 120, 160]),
    ],
)
def test_pts_become_times(pts: list[int | None], expected: list[int]) -> None:
    assert times_of(pts) == expected


def test_a_second_pass_goes_on() -> None:
    first = MediaTimeline(step_ns=STEP)
    for pts in (0, STEP):
        first.at(pts)
    second = MediaTimeline(step_ns=STEP, start_ns=first.next_ns)
    assert [second.at(pts) for pts in (0, STEP)] == [2 * STEP, 3 * STEP]


@given(PTS)
def test_no_gap_is_longer_than_the_longest(pts: list[int | None]) -> None:
    timeline = MediaTimeline(step_ns=STEP, longest_gap_ns=10_000 * MS)
    times = [timeline.at(value) for value in pts]
    assert all(later - earlier <= 10_000 * MS for earlier, later in itertools.pairwise(times))


def test_frames_that_are_farther_apart_than_the_longest_gap_keep_their_distance() -> None:
    timeline = MediaTimeline(step_ns=60_000 * MS, longest_gap_ns=10_000 * MS)
    assert [timeline.at(pts * 60_000 * MS) // MS for pts in range(3)] == [0, 60_000, 120_000]


@given(PTS)
def test_times_always_grow(pts: list[int | None]) -> None:
    timeline = MediaTimeline(step_ns=STEP)
    times = [timeline.at(value) for value in pts]
    assert all(earlier < later for earlier, later in itertools.pairwise(times))
    assert not times or times[0] == 0


@given(st.lists(st.tuples(st.one_of(st.none(), st.integers(-(10**15), 10**15)), st.integers(0, 200 * MS)), max_size=60))
def test_live_times_grow_and_stay_near_the_clock(arrivals: list[tuple[int | None, int]]) -> None:
    timeline = LiveTimeline()
    elapsed, last = 0, -1
    for pts, gap in arrivals:
        elapsed += gap
        now = timeline.at(pts, elapsed)
        assert now > last
        assert now - elapsed <= 2_000 * MS + len(arrivals)
        assert elapsed - now <= 2_000 * MS
        last = now


def test_live_times_follow_good_pts_not_their_arrival() -> None:
    timeline = LiveTimeline()
    arrivals = [(5000, 0), (5040, 55), (5080, 79), (5120, 150)]
    assert [timeline.at(pts * MS, at * MS) // MS for pts, at in arrivals] == [0, 40, 80, 120]


def test_live_times_take_a_new_origin_when_pts_jump() -> None:
    timeline = LiveTimeline()
    arrivals = [(0, 0), (40, 40), (9_000_000, 80), (9_000_040, 120)]
    assert [timeline.at(pts * MS, at * MS) // MS for pts, at in arrivals] == [0, 40, 80, 120]


def test_live_times_give_up_on_pts_in_no_order() -> None:
    timeline = LiveTimeline()
    arrivals = [(0, 0), (240, 40), (200, 80), (280, 120), (160, 160)]
    times = [timeline.at(pts * MS, at * MS) // MS for pts, at in arrivals]
    assert times[0] == 0
    assert times[-1] >= 160
    later = [timeline.at(1_000_000 * MS, at * MS) // MS for at in (300, 340)]
    assert later == [300, 340]


def taken(fps: float, times_ns: list[int]) -> list[int]:
    sampler = Sampler(fps=fps)
    return [time for time in times_ns if sampler.take(time)]


def test_zero_fps_takes_all_frames() -> None:
    times = [n * STEP for n in range(50)]
    assert taken(0, times) == times


@given(st.sampled_from([1, 2.5, 5, 7, 10, 12, 15, 23.976, 25]), st.sampled_from([25, 30, 29.97, 50, 60]))
def test_never_more_frames_than_wanted(wanted: float, rate: float) -> None:
    times = [round(n * 1e9 / rate) for n in range(round(rate * 60))]
    assert len(taken(wanted, times)) <= 60 * wanted + 1


@pytest.mark.parametrize(("wanted", "rate"), [(10, 30), (10, 25), (5, 29.97), (12.5, 25)])
def test_the_rate_is_right(wanted: float, rate: float) -> None:
    times = [round(n * 1e9 / rate) for n in range(round(rate * 100))]
    assert abs(len(taken(wanted, times)) - 100 * wanted) <= 1


def test_pts_rounded_to_milliseconds_lose_no_frame_at_the_full_rate() -> None:
    times = [round(n * 1000 / 30) * MS for n in range(300)]
    assert taken(30, times) == times


def test_the_choice_does_not_depend_on_what_was_seen_before() -> None:
    times = [n * 33 * MS for n in range(300)]
    assert taken(10, times)[-50:] == taken(10, times[100:])[-50:]


def test_a_gap_is_not_made_up_for() -> None:
    assert taken(10, [0, 10_000 * MS, 10_020 * MS, 10_040 * MS, 10_100 * MS]) == [0, 10_000 * MS, 10_100 * MS]


def test_values_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="analysis_fps"):
        Sampler(fps=-1)
    with pytest.raises(ValueError, match="step_ns"):
        MediaTimeline(step_ns=0)
