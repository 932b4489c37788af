"""What a camera asks for, and whether its decoder keeps up."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.domain.frame import FrameInfo
from ferstream.pipeline.demand import DEFAULT_FPS, Demand
from tests.support.builders import frame_info

SECOND = 1_000_000_000


def delivered(demand: Demand, *, fps: float, frames: int, pace: float = 1.0, start: FrameInfo | None = None) -> FrameInfo:
    """Deliver frames at ``fps`` of media time, which runs ``pace`` times as fast as the clock; return the last one."""
    info = start = start or frame_info(live=True)
    for number in range(frames):
        media_ns = int(number * SECOND / fps)
        info = replace(start, media_time_ns=start.media_time_ns + media_ns, captured_ns=start.captured_ns + int(media_ns / pace))
        demand.add(info)
    return info


@pytest.mark.parametrize("pace", [1.0, 0.5, 0.05])
@given(fps=st.floats(1.0, 60.0))
def test_the_demand_is_the_rate_in_media_time_however_slow_the_decoder_is(fps: float, pace: float) -> None:
    demand = Demand()
    delivered(demand, fps=fps, frames=40, pace=pace)
    assert demand.fps == pytest.approx(fps, rel=0.01)


def test_few_frames_are_enough() -> None:
    demand = Demand()
    assert demand.fps == DEFAULT_FPS
    delivered(demand, fps=25, frames=5)
    assert demand.fps == pytest.approx(25, rel=0.01)


def test_a_change_of_the_rate_is_followed() -> None:
    demand = Demand()
    last = delivered(demand, fps=25, frames=250)
    delivered(demand, fps=5, frames=60, start=last)
    assert demand.fps == pytest.approx(5, rel=0.05)


def test_a_jump_of_media_time_does_not_count() -> None:
    demand = Demand()
    last = delivered(demand, fps=10, frames=20)
    delivered(demand, fps=10, frames=20, start=replace(last, media_time_ns=last.media_time_ns + 60 * SECOND))
    assert demand.fps == pytest.approx(10, rel=0.01)


def test_a_decoder_that_keeps_up_is_not_behind() -> None:
    demand = Demand()
    delivered(demand, fps=25, frames=500)
    assert not demand.is_behind


@pytest.mark.parametrize(("pace", "is_behind"), [(0.95, False), (0.85, True), (0.1, True)])
def test_a_decoder_is_behind_when_it_loses_half_a_second_in_five(pace: float, is_behind: bool) -> None:
    demand = Demand()
    delivered(demand, fps=25, frames=500, pace=pace)
    assert demand.is_behind == is_behind


def test_a_decoder_that_catches_up_is_no_longer_behind() -> None:
    demand = Demand()
    last = delivered(demand, fps=25, frames=100, pace=0.5)
    assert demand.is_behind
    delivered(demand, fps=25, frames=200, pace=4.0, start=last)
    assert not demand.is_behind
