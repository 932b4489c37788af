"""The rate limit, by media time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.domain.track import TrackState
from ferstream.publishing.rate_limit import FaceRateLimit
from tests.support.builders import face_event


def passed(max_hz: float, frames: int, **options: object) -> list[int]:
    limit = FaceRateLimit(max_hz=max_hz)
    return [index for index in range(frames) if limit.allows(face_event(index, **options))]  # type: ignore[arg-type]


def test_zero_lets_everything_pass() -> None:
    assert passed(0, 50) == list(range(50))


@pytest.mark.parametrize(("max_hz", "want"), [(10, 100), (5, 50), (1, 10), (12.5, 125), (25, 250), (100, 250), (0.5, 5)])
def test_25_fps_give_what_was_asked_for(max_hz: float, want: int) -> None:
    assert len(passed(max_hz, 250)) == pytest.approx(want, abs=1)


@given(st.integers(1, 60), st.lists(st.integers(1, 50), min_size=1, max_size=200))
def test_never_more_than_one_per_slot_whatever_frames_come(max_hz: int, steps: list[int]) -> None:
    limit, index, times = FaceRateLimit(max_hz=max_hz), 0, []
    for step in steps:
        index += step
        if limit.allows(face_event(index)):
            times.append(index * 40_000_000)
    slots = [(at - times[0]) // round(1e9 / max_hz) for at in times]
    assert len(set(slots)) == len(slots)


def test_tracks_do_not_share() -> None:
    limit = FaceRateLimit(max_hz=1)
    assert [limit.allows(face_event(0, number=n)) for n in (1, 2, 3, 1, 2)] == [True, True, True, False, False]


def test_first_and_last_always_pass_and_the_track_is_forgotten() -> None:
    limit = FaceRateLimit(max_hz=0.1)
    assert limit.allows(face_event(0, state=TrackState.APPEARED))
    assert not limit.allows(face_event(1))
    assert limit.allows(face_event(2, state=TrackState.LEFT))
    assert len(limit) == 0


def test_the_same_input_gives_the_same_output() -> None:
    assert passed(7.3, 500) == passed(7.3, 500)


@pytest.mark.parametrize("bad", [-1, float("nan")])
def test_negative_limits(bad: float) -> None:
    with pytest.raises(ValueError, match="max_hz"):
        FaceRateLimit(max_hz=bad)
