"""What publishing costs: CPU at 1,000 events/s, and the rate at which a backlog drains.

    python bench/outbox.py [--seconds 15] [--backlog 50000] [--json FILE]

Runs against Mosquitto. CPU is that of this process
(broker excluded), in per cent of one core. "bare paho" is the same payloads through paho's own thread and
queue, without outbox, acknowledgement bookkeeping or properties from us.

Results (results/outbox.json; 2 cores of an AMD EPYC, shared with other work: load average 5): encoding 6.3 %, bare paho 14.0 %, sink
with the outbox in memory 14.5 %, on disk 15.6 % of a core at 1,000 events/s. A backlog of 50,000 drains at 10,260 events/s (5,730
at load average 10), and the live events of another camera wait at most 88 ms meanwhile.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mqtt_output import mqtt_output

from ferstream.domain.emotion import LABELS, Emotion, Verdict
from ferstream.domain.event import FaceEvent
from ferstream.domain.face import Box, Face
from ferstream.domain.frame import FrameInfo
from ferstream.domain.track import Track, TrackState
from ferstream.events.encode import Encoder, ModelRef
from ferstream.runtime.clock import SystemClock

RATE_HZ = 1000.0
TICK_S = 0.01


def face_event(number: int, camera: str = "door") -> FaceEvent:
    """A face event with digits as real ones have them."""
    x = 100.0 + number % 700 + 0.123
    info = FrameInfo(camera, number, number * 40_000_000, time.monotonic_ns(), time.time_ns(), 1920, 1080, True)
    points = ((x, 1.21), (x + 33.4, 2.32), (x + 20.1, 3.43), (x + 5.2, 4.54), (x + 31.9, 5.65))
    emotion = Emotion(Verdict("happy", 0.9312), Verdict("happy", 0.9111), (0.0112, 0.0123, 0.0098, 0.9312, 0.0101, 0.0133, 0.0121))
    assert len(LABELS) == 7
    track = Track(f"{camera}-1f3c-1", TrackState.PRESENT, number * 40_000_000)
    return FaceEvent(info, track, Face(Box(x, 200.4, 80.5, 91.2), 0.9812, points), emotion)


@contextmanager
def mosquitto() -> Iterator[str]:
    """Yields its URL."""
    binary = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    if binary is None:
        raise SystemExit("this program needs mosquitto")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as config:
        config.write(f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n")
        config.flush()
        process = subprocess.Popen([binary, "-c", config.name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                threading.Event().wait(0.02)
        yield f"mqtt://127.0.0.1:{port}"
        process.kill()
        process.wait()


def paced(put: Callable[[int], object], seconds: float) -> float:
    """Call ``put`` at ``RATE_HZ``; returns CPU in per cent of a core."""
    began, cpu, number = time.monotonic(), time.process_time(), 0
    pause = threading.Event()
    while (now := time.monotonic() - began) < seconds:
        while number < now * RATE_HZ:
            put(number)
            number += 1
        pause.wait(TICK_S)
    return 100.0 * (time.process_time() - cpu) / (time.monotonic() - began)


def encode_only(seconds: float) -> float:
    encoder = Encoder(node="bench", boot_id="bench", model=ModelRef("emotion-edge", "1.0.0"), clock=SystemClock())
    return paced(lambda number: encoder.encode(face_event(number)), seconds)


def bare_paho(url: str, seconds: float) -> float:
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

    encoder = Encoder(node="bench", boot_id="bench", model=ModelRef("emotion-edge", "1.0.0"), clock=SystemClock())
    host, port = url.removeprefix("mqtt://").split(":")
    client = Client(CallbackAPIVersion.VERSION2, client_id="bare", protocol=MQTTProtocolVersion.MQTTv5)
    client.connect(host, int(port))
    client.loop_start()
    result = paced(lambda n: client.publish("ferstream/bench/door/face", encoder.encode(face_event(n)).payload, 1), seconds)
    client.disconnect()
    client.loop_stop()
    return result


def through_sink(url: str, directory: Path | None, seconds: float) -> float:
    output = mqtt_output(url, directory)
    output.sinks.open()
    result = paced(lambda number: output.sinks.write(face_event(number)), seconds)
    assert output.sinks.flush(20) == 0
    assert output.mqtt.reader.counts().balanced
    output.sinks.close()
    return result


def drain(url: str, directory: Path, backlog: int) -> dict[str, float]:
    """Fill an outbox without a broker, then start with one: events/s, while another camera makes 200 live events/s."""
    down = mqtt_output("mqtt://127.0.0.1:9", directory).sinks
    down.open()
    cpu, began = time.process_time(), time.monotonic()
    for number in range(backlog):
        down.write(face_event(number))
    assert down.flush(60) == 0
    fill_s = time.monotonic() - began
    down.close()
    fill_cpu = time.process_time() - cpu
    size = sum(path.stat().st_size for path in directory.iterdir())
    up = mqtt_output(url, directory)
    waits: list[float] = []
    began = time.monotonic()
    up.sinks.open()
    open_s = time.monotonic() - began
    live = 0
    pause = threading.Event()
    while up.mqtt.reader.counts().acknowledged < backlog:
        while live < (time.monotonic() - began) * 200:
            up.sinks.write(face_event(live, camera="live"))
            live += 1
        oldest_ns = up.mqtt.reader.oldest_ns("live")
        if oldest_ns is not None:
            waits.append((time.monotonic_ns() - oldest_ns) / 1e6)
        pause.wait(TICK_S)
    seconds = time.monotonic() - began
    acknowledged = up.mqtt.reader.counts().acknowledged
    up.sinks.flush(20)
    up.sinks.close()
    return {
        "fill_s": fill_s,
        "fill_cpu_s": fill_cpu,
        "file_mb": size / 1e6,
        "open_s": open_s,
        "drain_events_per_s": acknowledged / seconds,
        "live_wait_max_ms": max(waits, default=0.0),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--backlog", type=int, default=50_000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    result: dict[str, object] = {"machine": platform.processor() or platform.machine(), "rate_hz": RATE_HZ}
    with mosquitto() as url, tempfile.TemporaryDirectory() as folder:
        result["broker"] = "mosquitto"
        result["cpu_percent"] = {
            "encoding alone": encode_only(options.seconds),
            "bare paho": bare_paho(url, options.seconds),
            "sink, outbox in memory": through_sink(url, None, options.seconds),
            "sink, outbox on disk": through_sink(url, Path(folder) / "steady", options.seconds),
        }
        result["outage"] = drain(url, Path(folder) / "outage", options.backlog)
    text = json.dumps(result, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
