"""Counters, histograms and snapshots."""

from __future__ import annotations

import threading
from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.runtime.counters import BATCH_BUCKETS, DURATION_BUCKETS_S, Counters, HistogramValue
from tests.support.clock import START_UTC_NS, FakeClock
from tests.support.threads import Task

pytestmark = pytest.mark.usefixtures("no_new_threads")


class TestCounts:
    """Every report is counted under the right name and labels."""

    def test_frames_drops_and_frames_in_flight(self) -> None:
        counters = Counters()
        for _ in range(10):
            counters.frame("door", "capture")
        for _ in range(4):
            counters.frame("door", "publishing")
        counters.frame("yard", "capture")
        counters.frame_dropped("door", "detection", "stale")
        counters.frame_dropped("door", "capture", "overflow", 2)
        snapshot = counters.snapshot()
        assert snapshot.in_flight("door") == 3
        assert snapshot.in_flight("yard") == 1
        assert snapshot.in_flight("nowhere") == 0
        assert snapshot.dropped_frames("door") == 3
        assert snapshot.dropped_frames() == 3

    def test_damaged_frames_do_not_count_as_captured(self) -> None:
        counters = Counters()
        counters.frame("door", "capture")
        counters.frame_dropped("door", "decode", "damaged", 5)
        assert counters.snapshot().in_flight("door") == 1
        assert counters.snapshot().dropped_frames("door") == 5

    def test_zero_faces_make_no_series(self) -> None:
        counters = Counters()
        counters.faces("door", "found", 0)
        counters.faces("door", "found", 3)
        counters.faces("door", "found", 2)
        assert counters.snapshot().faces == {("door", "found"): 5}

    def test_events_reconnects_and_named_counters(self) -> None:
        counters = Counters()
        counters.event("door", "happy")
        counters.reconnect("door", "timeout")
        counters.count("mqtt_publish", "acknowledged", 3)
        counters.count("mqtt_publish", "acknowledged")
        counters.count("batch_limit_halved")
        snapshot = counters.snapshot()
        assert snapshot.events == {("door", "happy"): 1}
        assert snapshot.reconnects == {("door", "timeout"): 1}
        assert snapshot.counts == {("mqtt_publish", "acknowledged"): 4, ("batch_limit_halved", ""): 1}

    def test_heartbeats_and_last_frames_have_the_time_of_the_clock(self) -> None:
        clock = FakeClock(monotonic_ns=5)
        counters = Counters(clock=clock)
        counters.beat("tracking")
        clock.advance(2)
        counters.frame("door", "capture")
        counters.frame("door", "tracking")
        counters.beat("inference")
        snapshot = counters.snapshot()
        assert snapshot.beats == {"tracking": 5, "inference": 2_000_000_005}
        assert snapshot.beats_utc["tracking"] == START_UTC_NS / 1e9
        assert snapshot.last_frame == {"door": START_UTC_NS / 1e9 + 2}
        counters.forget_stage("tracking")
        counters.forget_stage("never there")
        assert set(counters.snapshot().beats) == {"inference"}

    def test_a_camera_is_up_or_not(self) -> None:
        counters = Counters()
        counters.camera_up("door", True)
        counters.camera_up("yard", True)
        counters.camera_up("yard", False)
        assert counters.snapshot().cameras_up == {"door": True, "yard": False}

    def test_a_snapshot_stays_as_it_was(self) -> None:
        counters = Counters()
        counters.frame("door", "capture")
        counters.duration("detection", 0.002)
        before = counters.snapshot()
        counters.frame("door", "capture")
        counters.duration("detection", 0.002)
        assert before.frames == {("door", "capture"): 1}
        assert before.durations["detection"].count == 1


class TestHistograms:
    """A bucket counts the values up to and including its bound."""

    def test_a_bound_belongs_to_its_bucket(self) -> None:
        counters = Counters()
        for faces in (1, 2, 3, 4, 5, 1000):
            counters.batch(faces)
        value = counters.snapshot().batches
        assert value.bounds == BATCH_BUCKETS
        assert value.counts == (1, 1, 2, 1, 0, 0, 0, 1)
        assert (value.count, value.sum) == (6, 1015)

    def test_durations_are_by_stage_and_latencies_by_camera(self) -> None:
        counters = Counters()
        counters.duration("detection", 0.0021)
        counters.latency("door", 0.012)
        snapshot = counters.snapshot()
        assert snapshot.durations["detection"].sum == pytest.approx(0.0021)
        assert snapshot.latencies["door"].sum == pytest.approx(0.012)
        assert snapshot.durations["detection"].bounds == DURATION_BUCKETS_S

    def test_quantiles_without_observations_are_zero(self) -> None:
        empty = HistogramValue((1.0, 2.0), (0, 0, 0), 0.0)
        assert [empty.quantile(q) for q in (0, 0.5, 1)] == [0, 0, 0]

    def test_quantiles_are_interpolated_in_their_bucket(self) -> None:
        value = HistogramValue((10.0, 20.0), (5, 5, 0), 100.0)
        assert value.quantile(0.25) == 5.0
        assert value.quantile(0.5) == 10.0
        assert value.quantile(0.75) == 15.0
        assert value.quantile(1.0) == 20.0

    def test_a_quantile_above_all_bounds_is_the_last_bound(self) -> None:
        assert HistogramValue((10.0, 20.0), (0, 0, 3), 300.0).quantile(0.5) == 20.0

    @given(st.lists(st.floats(0, 3), min_size=1, max_size=60), st.floats(0.01, 1))
    def test_an_estimate_lies_in_the_bucket_of_the_true_quantile(self, values: list[float], q: float) -> None:
        counters = Counters()
        for value in values:
            counters.duration("s", value)
        histogram = counters.snapshot().durations["s"]
        estimate = histogram.quantile(q)
        rank = next(i for i in range(1, len(values) + 1) if i >= q * len(values))
        bucket = bisect_left(DURATION_BUCKETS_S, sorted(values)[rank - 1])
        bounds = (0.0, *DURATION_BUCKETS_S)
        high = DURATION_BUCKETS_S[min(bucket, len(DURATION_BUCKETS_S) - 1)]
        assert bounds[bucket] <= estimate <= high + 1e-12

    @given(st.lists(st.integers(0, 9), min_size=4, max_size=4), st.floats(0, 1), st.floats(0, 1))
    def test_a_higher_quantile_is_never_lower(self, counts: list[int], one: float, other: float) -> None:
        histogram = HistogramValue((1.0, 2.0, 4.0), tuple(counts), 0.0)
        low, high = sorted((one, other))
        assert histogram.quantile(low) <= histogram.quantile(high)


class TestThreads:
    """A snapshot is consistent while other threads count."""

    def test_every_snapshot_adds_up_while_four_threads_write(self) -> None:
        counters, done = Counters(), threading.Event()

        def write(camera: str) -> None:
            for number in range(1500):
                counters.frame(camera, "capture")
                if number % 3:
                    counters.frame(camera, "publishing")
                else:
                    counters.frame_dropped(camera, "detection", "stale")
                counters.duration("detection", 0.001)

        def read() -> list[int]:
            seen: list[int] = []
            while not done.is_set():
                snapshot = counters.snapshot()
                seen += [snapshot.in_flight(camera) for camera in "abcd"]
            return seen

        reader = Task(read)
        writers = [Task(lambda camera=camera: write(camera)) for camera in "abcd"]  # type: ignore[misc]
        for writer in writers:
            writer.result()
        done.set()
        assert set(reader.result()) <= {0, 1}
        final = counters.snapshot()
        assert [final.in_flight(camera) for camera in "abcd"] == [0] * 4
        assert final.durations["detection"].count == 6000
