"""The delivery loop on transports that do what a test says: retries, counters, heartbeats, order and conservation."""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferstream.events.schemas import SCHEMAS
from ferstream.outbox.entry import Delivery
from ferstream.outbox.reader import OutboxReader
from ferstream.runtime.backoff import Backoff
from ferstream.runtime.counters import Counters
from ferstream.sinks.delivery import DeliveryLoop, Timings
from ferstream.sinks.request_workers import RequestWorkers
from ferstream.sinks.transport import Accepted, Failed, Refused, Result
from tests.support.fed_outbox import FedOutbox
from tests.support.runners import PATIENCE_S
from tests.support.threads import wait_until

pytestmark = pytest.mark.usefixtures("no_new_threads")

NAME = "test"
Send = Callable[[Delivery], Result]


class ScriptedClient:
    """Answers each event as a function says."""

    def __init__(self, send: Send, connect: Callable[[], Failed | None]) -> None:
        self._send, self._connect = send, connect
        self.aborted = threading.Event()

    def connect(self) -> Failed | None:
        return self._connect()

    def send(self, delivery: Delivery) -> Result:
        return self._send(delivery)

    def abort(self) -> None:
        self.aborted.set()

    def close(self) -> None:
        pass


class Rig:
    """An outbox, a loop and scripted clients."""

    def __init__(self, send: Send = Accepted, *, connect: Callable[[], Failed | None] = lambda: None, **options: Any) -> None:
        self.outbox, self.observer = FedOutbox(), Counters()
        self.fatal: list[tuple[str, BaseException]] = []
        workers = RequestWorkers(
            name=NAME,
            label="test://other",
            make_client=lambda: ScriptedClient(send, connect),
            max_in_flight=options.pop("max_in_flight", 3),
            limit_s=options.pop("limit_s", PATIENCE_S),
        )
        options.setdefault("backoff", Backoff(floor_s=0.001, cap_s=0.002))
        self.loop = DeliveryLoop(
            name=NAME,
            open_reader=self._reader,
            transport=workers,
            observer=self.observer,
            on_fatal=lambda name, error: self.fatal.append((name, error)),
            **options,
        )

    def _reader(self, on_ready: Callable[[], None]) -> OutboxReader:
        return self.outbox.reader(NAME, schemas=SCHEMAS, on_ready=on_ready)

    @property
    def counts(self) -> dict[str, int]:
        return {name: count for (name, label), count in self.observer.snapshot().counts.items() if label == NAME}

    def wait_empty(self) -> None:
        assert self.outbox.made.wait_empty(PATIENCE_S)

    def __enter__(self) -> Rig:
        self.loop.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self.loop.stop(7)
        assert self.outbox.made.counts().balanced


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """Set at the end of a test, so that clients that hang can go."""
    event = threading.Event()
    yield event
    event.set()


def test_accepted_events_are_acknowledged_and_counted() -> None:
    with Rig() as rig:
        rig.outbox.put_many(500, ("a", "b", "c"))
        rig.wait_empty()
        assert rig.outbox.made.counts().acknowledged == 500
    assert rig.counts == {"sink_connects": 1, "sink_delivered": 500}


def test_a_refused_event_is_dropped_and_its_reason_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    with Rig(lambda delivery: Refused(delivery, "418 I'm a Teapot")) as rig:
        rig.outbox.put_many(10)
        rig.wait_empty()
    assert rig.outbox.made.counts().dropped == {"rejected": 10}
    assert rig.counts == {"sink_connects": 1, "sink_rejected": 10}
    assert caplog.text.count("418 I'm a Teapot") == 1


def test_a_loop_that_waits_beats_and_one_that_pauses_owes_no_beat() -> None:
    failing = threading.Event()

    def connect() -> Failed | None:
        return Failed("down") if failing.is_set() else None

    def send(delivery: Delivery) -> Result:
        failing.set()
        return Failed("down", delivery, retry_after_s=3600)

    with Rig(send, connect=connect, timings=Timings(idle_s=0.001)) as rig:
        wait_until(lambda: NAME in rig.observer.snapshot().beats)
        first = rig.observer.snapshot().beats[NAME]
        wait_until(lambda: rig.observer.snapshot().beats[NAME] > first)
        rig.outbox.put()
        wait_until(lambda: rig.loop.down)
        assert NAME not in rig.observer.snapshot().beats


def test_a_repeated_failure_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    attempts = 0

    def connect() -> Failed | None:
        nonlocal attempts
        attempts += 1
        return Failed("test://other: nobody there")

    with Rig(connect=connect) as rig:
        wait_until(lambda: attempts > 10)
        assert rig.loop.reason == "test://other: nobody there"
        assert not rig.loop.connected
    assert caplog.text.count("nobody there") == 1


def test_a_server_that_connects_and_always_fails_is_not_called_connected_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    tries = 0

    def send(delivery: Delivery) -> Result:
        nonlocal tries
        tries += 1
        return Failed("answered 500", delivery) if tries <= 10 else Accepted(delivery)

    with Rig(send) as rig:
        rig.outbox.put()
        rig.wait_empty()
        wait_until(lambda: rig.loop.connected)
    assert caplog.text.count("answered 500") == 1
    assert caplog.text.count("connected to") == 2


def test_an_accepted_event_resets_the_back_off() -> None:
    backoff = Backoff(floor_s=0.001, cap_s=0.002)
    fails = [True] * 5

    def send(delivery: Delivery) -> Result:
        return Failed("later") if fails and fails.pop() else Accepted(delivery)

    with Rig(send, backoff=backoff) as rig:
        rig.outbox.put()
        rig.wait_empty()
        assert backoff.failures == 5
        fails.append(True)
        rig.outbox.put()
        rig.wait_empty()
        assert backoff.failures == 1


def test_a_request_over_its_limit_is_abandoned_and_sent_again(release: threading.Event) -> None:
    hangs = [True]

    def send(delivery: Delivery) -> Result:
        if hangs and hangs.pop():
            release.wait(PATIENCE_S)
        return Accepted(delivery)

    with Rig(send, limit_s=0.05) as rig:
        rig.outbox.put()
        rig.wait_empty()
        assert rig.outbox.made.counts().acknowledged == 1
        assert rig.counts["sink_retries"] >= 1
        release.set()  # the late answer of the first attempt counts for nothing
    assert rig.outbox.made.counts().acknowledged == 1


def test_a_connection_attempt_over_its_limit_is_abandoned(release: threading.Event) -> None:
    def connect() -> Failed | None:
        release.wait(PATIENCE_S)
        return None

    with Rig(connect=connect, limit_s=0.05) as rig:
        wait_until(lambda: rig.loop.reason == "test://other: no connection within 0.05 s")
        release.set()
        wait_until(lambda: rig.loop.connected)


def test_a_stop_interrupts_a_connection_attempt(release: threading.Event) -> None:
    trying = threading.Event()

    def connect() -> Failed | None:
        trying.set()
        release.wait(PATIENCE_S)
        return None

    with Rig(connect=connect, timings=Timings(grace_s=0.01)) as rig:
        assert trying.wait(PATIENCE_S)
        assert rig.loop.stop(7)
        release.set()


def test_a_defect_of_a_client_is_reported_and_ends_the_loop() -> None:
    def send(delivery: Delivery) -> Result:
        raise RuntimeError("a bug")

    with Rig(send) as rig:
        rig.outbox.put()
        wait_until(lambda: bool(rig.fatal))
        assert rig.fatal[0][0] == NAME
        assert str(rig.fatal[0][1]) == "a bug"
        wait_until(lambda: not rig.loop.alive)
        assert rig.loop.reason == "internal error: RuntimeError"
    assert rig.outbox.made.counts().events == 1


def test_no_more_events_are_taken_than_the_window_holds(release: threading.Event) -> None:
    def send(delivery: Delivery) -> Result:
        release.wait(PATIENCE_S)
        return Accepted(delivery)

    with Rig(send, timings=Timings(window=5)) as rig:
        rig.outbox.put_many(20)
        wait_until(lambda: rig.loop.in_flight == 5)
        assert len(rig.outbox.made.take(100)) == 15  # these are still in the outbox
        assert rig.outbox.made.give_back() == 20
        release.set()
        wait_until(lambda: rig.loop.in_flight == 0)


def test_one_camera_has_one_request_at_a_time() -> None:
    lock, running, most = threading.Lock(), defaultdict[str, int](int), 0

    def send(delivery: Delivery) -> Result:
        nonlocal most
        with lock:
            running[delivery.camera] += 1
            most = max(most, running[delivery.camera])
        os.sched_yield()
        with lock:
            running[delivery.camera] -= 1
        return Accepted(delivery)

    with Rig(send, max_in_flight=8) as rig:
        rig.outbox.put_many(300, ("a", "b", "c"))
        rig.wait_empty()
    assert most == 1


def test_cameras_are_served_at_the_same_time(release: threading.Event) -> None:
    together = threading.Barrier(3)

    def send(delivery: Delivery) -> Result:
        together.wait(PATIENCE_S)  # passes only if three requests run
        return Accepted(delivery)

    with Rig(send) as rig:
        rig.outbox.put_many(3, ("a", "b", "c"))
        rig.wait_empty()


Fates = Sequence[tuple[str, str, int]]
KINDS = ("accept", "refuse", "event", "endpoint")
FATES = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(KINDS), st.integers(1, 3)), max_size=25)


@given(fates=FATES, max_in_flight=st.integers(1, 4), window=st.integers(1, 8))
@settings(max_examples=60)
def test_every_event_is_accounted_for_and_each_camera_keeps_its_order(fates: Fates, max_in_flight: int, window: int) -> None:
    lock = threading.Lock()
    fate_of: dict[tuple[str, int], tuple[str, int]] = {}
    tries: dict[tuple[str, int], int] = defaultdict(int)
    accepted: dict[str, list[int]] = defaultdict(list)

    def send(delivery: Delivery) -> Result:
        key = (delivery.camera, delivery.seq)
        kind, failures = fate_of[key]
        with lock:
            tries[key] += 1
            if kind in ("event", "endpoint") and tries[key] <= failures:
                return Failed("later", delivery if kind == "event" else None)
            if kind == "refuse":
                return Refused(delivery, "never")
            accepted[delivery.camera].append(delivery.seq)
        return Accepted(delivery)

    rig = Rig(send, max_in_flight=max_in_flight, timings=Timings(window=window, grace_s=PATIENCE_S))
    wanted: dict[str, list[int]] = defaultdict(list)
    for camera, kind, failures in fates:
        seq = sum(1 for name, _ in fate_of if name == camera)
        fate_of[camera, seq] = (kind, failures)
        rig.outbox.put(camera)
        if kind != "refuse":
            wanted[camera].append(seq)
    with rig:
        rig.wait_empty()
    assert accepted == wanted
    counts = rig.outbox.made.counts()
    assert counts.acknowledged == sum(map(len, wanted.values()))
    assert sum(counts.dropped.values()) == len(fates) - counts.acknowledged
