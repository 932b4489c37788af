"""A process that publishes face events at a rate: ``python -m tests.support.publisher URL FOLDER RATE BOOT``.

It prints the number of each event after handing it over, a line each, and ends on SIGTERM as the daemon does:
flush, close.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from pathlib import Path

from ferstream.events.encode import Encoder, ModelRef
from ferstream.runtime.backoff import Backoff
from ferstream.runtime.clock import SystemClock
from ferstream.runtime.counters import Counters
from ferstream.sinks.mqtt.connection import BrokerAddress
from ferstream.sinks.mqtt.sink import MqttSink
from ferstream.sinks.mqtt.topics import Topics
from tests.support.builders import face_event


def main() -> None:
    url, folder, rate, boot_id = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    sink = MqttSink(
        address=BrokerAddress(url=url, client_id="ferstream-edge-1"),
        topics=Topics(prefix="ferstream", node="edge-1"),
        encoder=Encoder(node="edge-1", boot_id=boot_id, model=ModelRef("m", "1"), clock=SystemClock()),
        observer=Counters(),
        outbox_directory=folder,
        backoff=Backoff(floor_s=0.05, cap_s=0.2),
    )
    sink.open()
    began, index = time.monotonic(), 0
    while not stop.wait(max(0.0, began + index / rate - time.monotonic())):
        sink.put(face_event(index))
        print(index, flush=True)
        index += 1
    left = sink.flush(5)
    sink.close()
    sys.exit(1 if left else 0)


if __name__ == "__main__":
    main()
