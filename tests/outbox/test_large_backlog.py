"""A backlog as large as the default limit, across a restart."""

from __future__ import annotations

import json
import threading
from itertools import chain
from pathlib import Path

import pytest

from ferstream.domain.message import Message
from tests.support.outboxes import OneReader

pytestmark = pytest.mark.usefixtures("no_new_threads")


def test_a_hundred_thousand_events_are_kept_within_the_limit_and_read_back_in_order(tmp_path: Path) -> None:
    first = OneReader(tmp_path, max_events=50_000)
    first.open()
    for number in range(100_000):
        first.append(Message("ferstream.face/1", f"cam{number % 3}", "boot", number // 3, b'{"n":%d}' % number))
    assert first.counts().balanced
    assert first.close()
    ready = threading.Event()
    second = OneReader(tmp_path, max_events=50_000, on_ready=ready.set)
    second.open()
    numbers: dict[str, list[int]] = {"cam0": [], "cam1": [], "cam2": []}
    while second.events:
        ready.clear()
        deliveries = second.take(64)
        if not deliveries:
            ready.wait(1.0)  # as a sink does; taking again at once would keep the writer from running
        for delivery in deliveries:
            numbers[delivery.camera].append(json.loads(delivery.payload)["n"])
        second.acknowledge(deliveries)
    assert second.close()
    assert sorted(chain.from_iterable(numbers.values())) == list(range(50_000, 100_000))
    assert all(values == sorted(values) for values in numbers.values())
