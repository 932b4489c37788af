"""No event is lost or reordered when brokers and disks fail."""

from __future__ import annotations

import contextlib
import random
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ferstream.outbox.store import FILE_NAME
from ferstream.runtime.counters import Counters
from tests.support.brokers import Gate, Mosquitto, Subscriber, in_order_but_for_doubles, until
from tests.support.builders import face_event
from tests.support.mqtt_output import MqttOutput

pytestmark = pytest.mark.usefixtures("no_new_threads")

MakeSink = Callable[..., MqttOutput]


def put(sink: MqttOutput, numbers: range) -> None:
    for number in numbers:
        sink.write(face_event(number, camera=f"cam{number % 2}"))
        assert sink.counts().balanced


def received(subscriber: Subscriber) -> set[int]:
    """Frame numbers of all events that came."""
    events = subscriber.events("cam0") + subscriber.events("cam1")
    return {event["frame"]["index"] for event in events}


def orderly(subscriber: Subscriber) -> bool:
    return all(in_order_but_for_doubles(subscriber.seqs(camera)) for camera in ("cam0", "cam1"))


@pytest.fixture
def absent(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that is not started yet."""
    broker = Mosquitto(tmp_path / "absent")
    yield broker
    broker.end()


class TestBrokerFails:
    @pytest.mark.parametrize("durable", [True, False])
    @pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
    def test_a_killed_broker_loses_only_what_it_had_acknowledged(
        self, mosquitto: Mosquitto, make_sink: MakeSink, gate: Gate, tmp_path: Path, how: signal.Signals, durable: bool
    ) -> None:
        # QoS 0 for the subscriber: a broker killed with unread acknowledgements of it resets the
        # connection, and the kernel throws away what the subscriber had not read.
        sink = make_sink(mosquitto.url, directory=tmp_path / "outbox" if durable else None)
        sink.open()
        with Subscriber(mosquitto.url, qos=0) as subscriber:
            put(sink, range(500))
            subscriber.wait(lambda _: len(received(subscriber)) > 100)
            gate.shut()
            mosquitto.end(how)
            until(lambda: not sink.connected)
            # What the broker had acknowledged but not passed on is lost with it; nothing else may be.
            taken = sink.counts().acknowledged
            put(sink, range(500, 3000))
            assert not durable or sink.flush(20) == 0
            mosquitto.start()
            subscriber.wait_subscribed(2)
            gate.open()
            put(sink, range(3000, 3200))
            assert sink.outbox.wait_empty(30)
            subscriber.wait(lambda _: set(range(taken, 3200)) <= received(subscriber))
            assert received(subscriber) | set(range(taken)) == set(range(3200))
            assert orderly(subscriber)
        balance = sink.counts()
        assert (balance.accepted, balance.acknowledged, balance.events, dict(balance.dropped)) == (3200, 3200, 0, {})

    def test_a_frozen_broker_loses_nothing(self, mosquitto: Mosquitto, make_sink: MakeSink, tmp_path: Path) -> None:
        sink = make_sink(mosquitto.url, directory=tmp_path / "outbox")
        sink.open()
        with Subscriber(mosquitto.url) as subscriber:
            put(sink, range(100))
            subscriber.wait(lambda _: len(received(subscriber)) == 100)
            mosquitto.freeze()
            put(sink, range(100, 1100))
            assert sink.flush(4) == 0
            assert sink.outbox.events == 1000
            mosquitto.thaw()
            assert sink.outbox.wait_empty(30)
            subscriber.wait(lambda _: len(received(subscriber)) == 1100)
            assert orderly(subscriber)

    def test_a_broker_frozen_beyond_the_keep_alive_loses_nothing(
        self, mosquitto: Mosquitto, make_sink: MakeSink, tmp_path: Path, observer: Counters, caplog: pytest.LogCaptureFixture
    ) -> None:
        sink = make_sink(mosquitto.url, directory=tmp_path / "outbox", address={"keepalive_s": 1})
        sink.open()
        with Subscriber(mosquitto.url) as subscriber:
            put(sink, range(100))
            subscriber.wait(lambda _: len(received(subscriber)) == 100)
            mosquitto.freeze()
            put(sink, range(100, 300))
            until(lambda: not sink.connected)
            assert "does not answer any more" in caplog.text
            mosquitto.thaw()
            assert sink.outbox.wait_empty(30)
            subscriber.wait(lambda _: len(received(subscriber)) == 300)
            assert orderly(subscriber)
        assert observer.snapshot().counts["mqtt_publish", "resent"] > 0

    def test_a_broker_absent_at_the_start_loses_nothing(self, absent: Mosquitto, tmp_path: Path, make_sink: MakeSink, gate: Gate) -> None:
        gate.shut()
        sink = make_sink(absent.url, directory=tmp_path / "outbox")
        sink.open()
        put(sink, range(100))
        assert sink.flush(20) == 0
        absent.start()
        with Subscriber(absent.url) as subscriber:
            gate.open()
            subscriber.wait(lambda _: len(received(subscriber)) == 100)
            assert orderly(subscriber)

    def test_many_restarts_under_load_lose_nothing(self, mosquitto: Mosquitto, make_sink: MakeSink, gate: Gate, tmp_path: Path) -> None:
        sink = make_sink(mosquitto.url, directory=tmp_path / "outbox")
        sink.open()
        with Subscriber(mosquitto.url, qos=0) as subscriber:
            for turn in range(6):
                put(sink, range(turn * 200, turn * 200 + 100))
                until(lambda: sink.connected)
                gate.shut()
                mosquitto.end(signal.SIGKILL)
                put(sink, range(turn * 200 + 100, turn * 200 + 200))
                mosquitto.start()
                subscriber.wait_subscribed(turn + 2)
                gate.open()
            assert sink.outbox.wait_empty(30)
            subscriber.wait(lambda _: len(received(subscriber)) == 1200)
            assert orderly(subscriber)
        assert sink.counts().balanced


class TestDiskFails:
    @pytest.fixture
    def small_disk(self, tmp_path: Path) -> Iterator[Path]:
        """A disk of 400 kB."""
        folder = tmp_path / "small"
        folder.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", folder], capture_output=True).returncode:
            pytest.skip("mounting a small disk needs root")
        yield folder
        subprocess.run(["umount", "-l", folder], check=True)

    def test_a_full_disk_that_is_freed_loses_nothing(
        self, absent: Mosquitto, make_sink: MakeSink, gate: Gate, small_disk: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        ballast = small_disk / "ballast"
        ballast.write_bytes(bytes(150_000))
        gate.shut()
        sink = make_sink(absent.url, directory=small_disk / "outbox")
        sink.open()
        put(sink, range(1000))
        assert sink.flush(1) > 0
        assert sink.outbox.degraded is not None and "full" in sink.outbox.degraded
        ballast.unlink()
        subprocess.run(["mount", "-o", "remount,size=4m", small_disk], check=True)
        assert sink.flush(20) == 0
        until(lambda: sink.outbox.degraded is None)
        assert caplog.text.count("kept in memory") == 1
        assert caplog.text.count("the disk works again") <= 1
        absent.start()
        with Subscriber(absent.url) as subscriber:
            gate.open()
            subscriber.wait(lambda _: len(received(subscriber)) == 1000)
            assert orderly(subscriber)
        assert sink.counts().balanced
        sink.close()

    def test_a_disk_that_stays_full_loses_nothing_while_the_process_runs(
        self, absent: Mosquitto, make_sink: MakeSink, gate: Gate, small_disk: Path
    ) -> None:
        gate.shut()
        sink = make_sink(absent.url, directory=small_disk / "outbox")
        sink.open()
        put(sink, range(2000))
        assert sink.flush(1) > 0
        absent.start()
        with Subscriber(absent.url) as subscriber:
            gate.open()
            subscriber.wait(lambda _: len(received(subscriber)) == 2000)
            assert orderly(subscriber)
            assert sink.outbox.wait_empty(20)
        until(lambda: sink.outbox.degraded is None)
        sink.close()
        assert sink.counts().acknowledged == 2000

    def test_a_disk_that_fills_behind_a_backlog_loses_nothing(
        self, absent: Mosquitto, make_sink: MakeSink, gate: Gate, small_disk: Path
    ) -> None:
        subprocess.run(["mount", "-o", "remount,size=24m", small_disk], check=True)
        gate.shut()
        sink = make_sink(absent.url, directory=small_disk / "outbox")
        sink.open()
        put(sink, range(5000))  # more than stay in memory
        assert sink.flush(20) == 0
        with contextlib.suppress(OSError), (small_disk / "ballast").open("wb", buffering=0) as ballast:
            while True:
                ballast.write(bytes(4096))
        put(sink, range(5000, 11_000))
        assert sink.flush(1) > 0
        assert sink.outbox.degraded is not None and "full" in sink.outbox.degraded
        absent.start()
        with Subscriber(absent.url) as subscriber:
            gate.open()
            assert sink.outbox.wait_empty(60)
            until(lambda: len(received(subscriber)) == 11_000)
            assert orderly(subscriber)
        until(lambda: sink.outbox.degraded is None)
        sink.close()
        assert sink.counts().acknowledged == 11_000

    def test_a_read_only_disk_loses_nothing(self, mosquitto: Mosquitto, make_sink: MakeSink, small_disk: Path) -> None:
        subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
        sink = make_sink(mosquitto.url, directory=small_disk / "outbox")
        sink.open()
        assert sink.outbox.degraded is not None and "read-only" in sink.outbox.degraded
        put(sink, range(50))
        assert sink.outbox.wait_empty(20)
        subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
        until(lambda: sink.outbox.degraded is None)
        assert (small_disk / "outbox" / FILE_NAME).exists()
        sink.close()


class TestAtRandom:
    """Faults in random order; a seed that fails is a test case for ever."""

    @pytest.mark.parametrize("seed", [1, 2])
    def test_a_few_random_faults_lose_nothing(
        self, mosquitto: Mosquitto, make_sink: MakeSink, gate: Gate, tmp_path: Path, seed: int
    ) -> None:
        self.run(mosquitto, make_sink, gate, tmp_path / "outbox", seed, steps=12)

    @pytest.mark.slow
    @pytest.mark.timeout(600)
    @pytest.mark.parametrize("seed", range(100, 110))
    def test_many_random_faults_lose_nothing(
        self, mosquitto: Mosquitto, make_sink: MakeSink, gate: Gate, tmp_path: Path, seed: int
    ) -> None:
        self.run(mosquitto, make_sink, gate, tmp_path / "outbox", seed, steps=60)

    def run(self, broker: Mosquitto, make_sink: MakeSink, gate: Gate, folder: Path, seed: int, steps: int) -> None:
        rng, boots = random.Random(seed), 0
        made: dict[int, int] = {}
        sink = make_sink(broker.url, directory=folder, boot_id="boot0")
        sink.open()
        with Subscriber(broker.url, qos=0) as subscriber:
            for _ in range(steps):
                number = made.get(boots, 0)
                made[boots] = number + rng.randrange(300)
                put(sink, range(number, made[boots]))
                fault = rng.choice(["none", "broker", "frozen", "restart"])
                if fault == "broker":
                    connected(sink)
                    # Idle when it dies: what it acknowledged but did not pass on would be lost with it.
                    assert sink.outbox.wait_empty(60)
                    self.all_heard(subscriber, made)
                    gate.shut()
                    ready = subscriber.subscriptions
                    broker.end(rng.choice([signal.SIGKILL, signal.SIGTERM]))
                    put(sink, range(made[boots], made[boots] + 50))
                    made[boots] += 50
                    broker.start()
                    subscriber.wait_subscribed(ready + 1)
                    gate.open()
                elif fault == "frozen":
                    broker.freeze()
                    sink.flush(rng.random())
                    broker.thaw()
                elif fault == "restart":
                    assert sink.flush(20) == 0
                    sink.close()
                    assert sink.counts().balanced
                    boots += 1
                    sink = make_sink(broker.url, directory=folder, boot_id=f"boot{boots}")
                    sink.open()
            assert sink.outbox.wait_empty(60)
            self.all_heard(subscriber, made)
            assert orderly_boots(subscriber, boots)

    def all_heard(self, subscriber: Subscriber, made: dict[int, int]) -> None:
        subscriber.wait(lambda _: all(self.numbers(subscriber, boot) >= set(range(n)) for boot, n in made.items()))

    def numbers(self, subscriber: Subscriber, boot: int) -> set[int]:
        events = subscriber.events("cam0") + subscriber.events("cam1")
        return {event["frame"]["index"] for event in events if event["boot_id"] == f"boot{boot}"}


def connected(sink: MqttOutput) -> None:
    until(lambda: sink.connected)


def orderly_boots(subscriber: Subscriber, boots: int) -> bool:
    return all(
        in_order_but_for_doubles(subscriber.seqs(camera, boot_id=f"boot{boot}")) for camera in ("cam0", "cam1") for boot in range(boots + 1)
    )
