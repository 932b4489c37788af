"""A process that publishes face events at a rate: ``python -m tests.support.publisher URL FOLDER RATE BOOT``.

It prints the number of each event on a line of its own after writing it. On SIGTERM it flushes and closes, as the
daemon does.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from pathlib import Path

from ferstream.runtime.backoff import Backoff
from tests.support.builders import face_event
from tests.support.mqtt_output import MqttOutput


def main() -> None:
    url, folder, rate, boot_id = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    sink = MqttOutput(url, directory=folder, boot_id=boot_id, backoff=Backoff(floor_s=0.05, cap_s=0.2))
    sink.open()
    began, index = time.monotonic(), 0
    while not stop.wait(max(0.0, began + index / rate - time.monotonic())):
        sink.write(face_event(index))
        print(index, flush=True)
        index += 1
    left = sink.flush(5)
    sink.close()
    sys.exit(1 if left else 0)


if __name__ == "__main__":
    main()
