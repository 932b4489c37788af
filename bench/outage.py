"""A broker outage with the publisher killed in the middle: what does a subscriber miss?

    python bench/outage.py [--minutes 5] [--rate 200] [--signal KILL|TERM] [--json FILE]

Mosquitto is started and stopped; a child process publishes through the real sink and outbox; halfway through the
outage the child gets the signal and is started again. At the end the subscriber's numbers are held against
the child's own count.

Results (results/outage_kill.json, results/outage_term.json): 5 minutes at 200 events/s with SIGKILL in the middle: 117 events (0.59 s) missing at the
kill, none otherwise, none late, outbox empty 27.8 s after the broker's return (backlog 59,663 events; most of it is the wait before
the reconnect). 1 minute with SIGTERM: none missing.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mqtt_output import mqtt_output

from ferstream.domain.emotion import Emotion, Verdict
from ferstream.domain.event import FaceEvent
from ferstream.domain.face import Box, Face
from ferstream.domain.frame import FrameInfo
from ferstream.domain.track import Track, TrackState
from ferstream.events.gaps import GapFinder
from ferstream.sinks.mqtt.address import BrokerAddress
from ferstream.sinks.mqtt.packets import Incoming
from ferstream.sinks.mqtt.subscriber import listen

PORT = 18990
URL = f"mqtt://127.0.0.1:{PORT}"
CAMERAS = 4
UP_S = 10.0
PAUSE = threading.Event()
"""Never set: its ``wait`` is the pause of this program."""


def face_event(number: int) -> FaceEvent:
    """A face event of one of four cameras."""
    camera = f"cam{number % CAMERAS}"
    info = FrameInfo(camera, number, number * 5_000_000, time.monotonic_ns(), time.time_ns(), 1920, 1080, True)
    emotion = Emotion(Verdict("happy", 0.93), Verdict("happy", 0.91), (0.01, 0.01, 0.01, 0.9312, 0.01, 0.01, 0.0188))
    points = ((1.23, 1.21), (33.4, 2.32), (20.1, 3.43), (5.2, 4.54), (31.9, 5.65))
    return FaceEvent(info, Track(f"{camera}-1", TrackState.PRESENT, number), Face(Box(1.5, 200.4, 80.5, 91.2), 0.98, points), emotion)


def publish(folder: Path, rate: float, boot_id: str) -> None:
    """Be the child: publish until SIGTERM, printing the count of events now and then."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    output = mqtt_output(URL, folder, node="outage", boot_id=boot_id)
    sink = output.sinks
    sink.open()
    began, number = time.monotonic(), 0
    while not stop.wait(max(0.0, began + number / rate - time.monotonic())):
        sink.write(face_event(number))
        number += 1
        print(number, output.outbox.events, flush=True)
    sink.flush(5)
    sink.close()
    print(number, output.outbox.events, flush=True)


class Child:
    """A publisher process and its newest count."""

    def __init__(self, folder: Path, rate: float, boot_id: str) -> None:
        words = [sys.executable, __file__, "--child", str(folder), boot_id, "--rate", str(rate)]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        self.made = self.waiting = 0
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.made, self.waiting = map(int, line.split())

    def end(self, how: signal.Signals) -> int:
        """Send the signal; events made in all."""
        self.process.send_signal(how)
        self.process.wait(20)
        self._thread.join(10)
        return self.made


def mosquitto(folder: Path) -> subprocess.Popen[bytes]:
    """Start a broker."""
    config = folder / "mosquitto.conf"
    config.write_text(f"listener {PORT} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n")
    return subprocess.Popen(["/usr/sbin/mosquitto", "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Listener:
    """A subscriber in a thread of its own that counts the face events."""

    def __init__(self) -> None:
        self.finder = GapFinder()
        self._stop, self._ready = threading.Event(), threading.Semaphore(0)
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        address = BrokerAddress(url=URL, client_id="listener")
        listen(address, ("ferstream/#",), on_message=self._take, stop=self._stop, on_ready=self._ready.release)

    def _take(self, message: Incoming) -> None:
        if message.topic.endswith("/face"):
            self.finder.add(json.loads(message.payload))

    def wait_subscribed(self) -> None:
        """Wait until the subscription stands, for the first time or once more."""
        self._ready.acquire()

    def wait_quiet(self) -> None:
        """Wait until nothing has come for 3 s: this program reads slower than the outbox drains."""
        heard = -1
        while heard != (heard := sum(s.received for s in self.finder.streams.values())):
            PAUSE.wait(3)

    def end(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join()


@dataclass(frozen=True)
class Outcome:
    """Events made by the two processes, what waited when the broker came back, and how long that took to deliver."""

    first: int
    second: int
    backlog: int
    caught_up_s: float
    left: int


def run(minutes: float, rate: float, how: signal.Signals) -> dict[str, Any]:
    """Do it; return the report."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        broker = mosquitto(folder)
        PAUSE.wait(1)
        listener = Listener()
        listener.wait_subscribed()
        child = Child(folder / "outbox", rate, "first")
        PAUSE.wait(UP_S)
        broker.kill()
        broker.wait()
        PAUSE.wait(minutes * 30)
        first = child.end(how)
        child = Child(folder / "outbox", rate, "second")
        PAUSE.wait(minutes * 30)
        broker = mosquitto(folder)
        outcome = catch_up(child, listener, rate, first)
        listener.end()
        broker.kill()
        broker.wait()
    return {"minutes": minutes, "rate_hz": rate, "signal": how.name, **report(outcome, listener.finder, rate)}


def catch_up(child: Child, listener: Listener, rate: float, first: int) -> Outcome:
    """Wait until the backlog is delivered, then end the publisher."""
    backlog = child.waiting
    listener.wait_subscribed()
    began = time.monotonic()
    while child.waiting > rate and time.monotonic() - began < 300:
        PAUSE.wait(0.1)
    caught_up_s = time.monotonic() - began
    PAUSE.wait(UP_S)
    second = child.end(signal.SIGTERM)
    listener.wait_quiet()
    return Outcome(first, second, backlog, caught_up_s, child.waiting)


def report(outcome: Outcome, finder: GapFinder, rate: float) -> dict[str, Any]:
    """Compare what was made with what was received."""
    received = {boot: sum(s.received - s.doubles for (b, _, _), s in finder.streams.items() if b == boot) for boot in ("first", "second")}
    missing = outcome.first - received["first"]
    return {
        "made": {"first": outcome.first, "second": outcome.second},
        "received": received,
        "missing_at_the_kill": missing,
        "missing_otherwise": finder.missing + outcome.second - received["second"],
        "missing_at_the_kill_s": round(missing / rate, 3),
        "late": finder.late,
        "doubles": sum(s.doubles for s in finder.streams.values()),
        "backlog_events": outcome.backlog,
        "caught_up_s": round(outcome.caught_up_s, 1),
        "outbox_at_the_end": outcome.left,
    }


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--signal", choices=("KILL", "TERM"), default="KILL")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        publish(Path(options.child[0]), options.rate, options.child[1])
        return
    text = json.dumps(run(options.minutes, options.rate, signal.Signals[f"SIG{options.signal}"]), indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
