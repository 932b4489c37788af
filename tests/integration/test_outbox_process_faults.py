"""No event on disk is lost when the publishing process ends during an outage of the broker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ferstream.outbox.store import FILE_NAME
from tests.support.brokers import Mosquitto, Subscriber

pytestmark = pytest.mark.usefixtures("no_new_threads")

RATE_HZ = 200.0


def publish_through_an_outage(
    tmp_path: Path, spawn: Callable[..., subprocess.Popen[bytes]], how: signal.Signals
) -> tuple[int, list[int], Subscriber]:
    """End the publisher while the broker is down, then start both again.

    Returns:
        The last event made by the first publisher, the events received of it, and the subscriber.
    """
    broker, outbox = Mosquitto(tmp_path / "broker"), tmp_path / "outbox"
    child = spawn(broker.url, outbox, rate=RATE_HZ, boot_id="first")
    made = read_until_on_disk(child, outbox, 500)
    child.send_signal(how)
    assert child.stdout is not None
    last = max([made, *map(int, child.stdout.read().split())])  # communicate() would lose what the reader has in its buffer
    child.wait(60)
    broker.start()
    try:
        with Subscriber(broker.url) as subscriber:
            second = spawn(broker.url, outbox, rate=RATE_HZ, boot_id="second")
            subscriber.wait(lambda _: len(subscriber.seqs(boot_id="second")) >= 100)
            second.terminate()
            output, _ = second.communicate(timeout=60)
            assert second.returncode == 0
            second_last = max(map(int, output.split()))
            subscriber.wait(lambda _: subscriber.seqs(boot_id="second")[-1] >= second_last)
    finally:
        broker.end()
    return last, subscriber.seqs(boot_id="first"), subscriber


def test_sigkill_loses_no_event_that_was_on_disk(tmp_path: Path, spawn_publisher: Callable[..., subprocess.Popen[bytes]]) -> None:
    """How many seconds of events that is at most, bench/outage.py measures."""
    _, seqs, subscriber = publish_through_an_outage(tmp_path, spawn_publisher, signal.SIGKILL)
    assert seqs == list(range(len(seqs)))
    assert seqs[-1] >= 500
    assert subscriber.seqs(boot_id="second") == list(range(len(subscriber.seqs(boot_id="second"))))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_sigkill_on_a_starved_machine_loses_at_most_a_second(root_dir: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    command = [sys.executable, "bench/kills.py", "--kills", "20", "--load", "8", "--threads", "2", "--json", str(report)]
    subprocess.run(command, cwd=root_dir, env={**os.environ, "PYTHONPATH": str(root_dir)}, check=True)
    found = json.loads(report.read_text())
    assert found["over_one_second"] == 0, found["lost_s"]


def test_sigterm_loses_nothing(tmp_path: Path, spawn_publisher: Callable[..., subprocess.Popen[bytes]]) -> None:
    last, seqs, _ = publish_through_an_outage(tmp_path, spawn_publisher, signal.SIGTERM)
    assert seqs == list(range(last + 1))


def read_until_on_disk(child: subprocess.Popen[bytes], outbox: Path, number: int) -> int:
    """Read the publisher's output until the event is committed to disk, without a flush; return the newest event."""
    assert child.stdout is not None
    awaited = [number]  # once a later event is on disk, the transaction of this one has ended
    for line in child.stdout:
        made = int(line)
        if made % 20 == 0 and is_on_disk(outbox, awaited[-1]):
            if len(awaited) == 2:
                return made
            awaited.append(made)
    raise AssertionError("the publisher ended")


def is_on_disk(outbox: Path, number: int) -> bool:
    """Whether the files of the outbox hold the event with this frame number."""
    return any(b'"index":%d,' % number in path.read_bytes() for path in outbox.glob(f"{FILE_NAME}*"))
