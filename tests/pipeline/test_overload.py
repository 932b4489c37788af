"""When an overload begins and ends: the served share over time, with a clock that the test moves."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from ferstream.pipeline.overload import Load, OverloadDetector
from tests.support.clock import FakeClock


class Box:
    """A machine whose cameras want and get frames at given rates; one measurement a second."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.detector = OverloadDetector(clock=self.clock)
        self._published: dict[str, float] = {}

    def run(self, seconds: int, wanted: Mapping[str, float], served: Mapping[str, float]) -> list[Load]:
        """Let time pass; return the load after each second."""
        loads = []
        for _ in range(seconds):
            self.clock.advance(1.0)
            for camera, fps in served.items():
                self._published[camera] = self._published.get(camera, 0.0) + fps
            published = {camera: int(count) for camera, count in self._published.items()}
            loads.append(self.detector.update(wanted_fps=wanted, published=published))
        return loads


WANTED = {"door": 10.0, "yard": 25.0}
ENOUGH = WANTED
HALF = {"door": 5.0, "yard": 12.5}


def test_a_machine_that_serves_everything_is_not_overloaded() -> None:
    loads = Box().run(60, WANTED, ENOUGH)
    assert not any(load.overloaded for load in loads)
    assert loads[-1].served_ratio == pytest.approx(1.0, abs=0.02)
    assert loads[-1].wanted_fps == 35.0


def test_an_overload_begins_after_ten_seconds_below_nine_tenths() -> None:
    box = Box()
    box.run(20, WANTED, ENOUGH)
    loads = box.run(20, WANTED, HALF)
    begun = [second for second, load in enumerate(loads, 1) if load.overloaded]
    assert begun
    assert 10 <= begun[0] <= 12
    assert loads[-1].overloaded_s == 20 - begun[0]


@pytest.mark.parametrize(("share", "is_overloaded"), [(0.91, False), (0.88, True)])
def test_nine_tenths_are_enough(share: float, is_overloaded: bool) -> None:
    loads = Box().run(60, {"door": 100.0}, {"door": 100.0 * share})
    assert loads[-1].overloaded == is_overloaded


def test_a_short_dip_is_no_overload() -> None:
    box = Box()
    for _ in range(5):
        dip = box.run(6, WANTED, HALF)
        rest = box.run(12, WANTED, ENOUGH)
        assert not any(load.overloaded for load in dip + rest)


def test_an_overload_ends_after_ten_seconds_with_enough() -> None:
    box = Box()
    assert box.run(30, WANTED, HALF)[-1].overloaded
    loads = box.run(40, WANTED, ENOUGH)
    over = [load.overloaded for load in loads]
    assert over.index(False) in range(10, 18)
    assert not any(over[over.index(False) :])


def test_an_overload_does_not_end_between_the_limits() -> None:
    box = Box()
    assert box.run(30, {"door": 100.0}, {"door": 50.0})[-1].overloaded
    assert box.run(60, {"door": 100.0}, {"door": 93.0})[-1].overloaded


def test_the_share_of_each_camera_is_of_what_it_asks_for() -> None:
    load = Box().run(30, WANTED, {"door": 5.0, "yard": 25.0})[-1]
    assert load.cameras["door"].served_ratio == pytest.approx(0.5, abs=0.02)
    assert load.cameras["yard"].served_ratio == pytest.approx(1.0, abs=0.02)
    assert load.served_fps == pytest.approx(30.0, abs=0.5)


def test_a_camera_that_gets_more_does_not_make_up_for_another() -> None:
    load = Box().run(30, {"door": 10.0, "yard": 10.0}, {"door": 20.0, "yard": 0.0})[-1]
    assert load.served_ratio == pytest.approx(0.5)
    assert load.overloaded


def test_a_camera_that_starts_is_not_measured_at_once() -> None:
    box = Box()
    box.run(20, {"door": 10.0}, {"door": 10.0})
    loads = box.run(10, WANTED, {"door": 10.0, "yard": 25.0})
    assert "yard" not in loads[0].cameras
    assert "yard" in loads[-1].cameras
    assert not any(load.overloaded for load in loads)


def test_a_camera_that_comes_back_is_measured_anew() -> None:
    box = Box()
    box.run(20, WANTED, ENOUGH)
    box.run(60, {"door": 10.0}, {"door": 10.0})
    loads = box.run(20, WANTED, ENOUGH)
    assert loads[-1].cameras["yard"].served_ratio == pytest.approx(1.0, abs=0.02)


def test_without_cameras_there_is_no_overload() -> None:
    load = Box().run(30, {}, {})[-1]
    assert (load.served_ratio, load.overloaded) == (1.0, False)
