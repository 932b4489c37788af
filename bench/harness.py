"""What the measuring programs share: real servers, the real daemon, a subscriber that keeps count."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

ROOT = Path(__file__).resolve().parent.parent
CLIP = ROOT.parent / "shared" / "videos" / "people_walking_1080p.mp4"
BIN = Path(sys.executable).parent
TICKS_S = os.sysconf("SC_CLK_TCK")
PAUSE = threading.Event()
"""Never set: its ``wait`` is the pause of these programs."""


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A process that listens on a port; can be killed, frozen and started again."""

    def __init__(self, command: list[str], port: int, log: Path) -> None:
        self.command, self.port, self._log = command, port, log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, seconds: float = 30.0) -> None:
        """Start, and wait until it answers."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            PAUSE.wait(0.05)
        raise SystemExit(f"{self.command[0]} does not listen on {self.port}:\n{self._log.read_text(errors='replace')[-2000:]}")

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def end(self, number: signal.Signals = signal.SIGKILL, seconds: float = 120.0) -> int | None:
        """Signal it and wait; its exit code."""
        if self.process is None:
            return None
        self.send(signal.SIGCONT)
        self.send(number)
        return self.process.wait(seconds)

    @property
    def pid(self) -> int:
        """Process id."""
        assert self.process is not None
        return self.process.pid

    @property
    def log(self) -> str:
        """What it said."""
        return self._log.read_text(errors="replace")


def rtsp_server(folder: Path, port: int) -> Server:
    """Serves the files of ``folder``/media as ``rtsp://127.0.0.1:port/<file>?play_count=0``."""
    command = [
        str(BIN / "rtsp-server"),
        "--dir",
        str(folder / "media"),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--control-port",
        str(free_port()),
    ]
    return Server(command, port, folder / "rtsp.log")


def mosquitto(folder: Path, port: int) -> Server:
    """A Mosquitto that keeps sessions and messages over restarts."""
    config = folder / "mosquitto.conf"
    config.write_text(
        f"user root\nlistener {port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {folder}/\nmax_queued_messages 0\n"
    )
    binary = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if binary is None:
        raise SystemExit("mosquitto is needed: apt-get install mosquitto")
    return Server([binary, "-c", str(config)], port, folder / "mosquitto.log")


def daemon(folder: Path, http: int) -> Server:
    """``ferstream run`` with ``folder``/ferstream.toml."""
    return Server([str(BIN / "ferstream"), "run", "-c", str(folder / "ferstream.toml")], http, folder / "ferstream.log")


def clip_of(size: str, folder: Path, *, source: Path = CLIP) -> None:
    """Write ``folder``/media/cam.mp4: 25 fps H.264 without B frames, as cameras send it."""
    width, height = map(int, size.split("x"))
    (folder / "media").mkdir(exist_ok=True)
    with av.open(str(source)) as reading, av.open(str(folder / "media" / "cam.mp4"), "w") as writing:
        stream = writing.add_stream("libx264", rate=25, options={"preset": "veryfast", "bf": "0", "g": "50", "crf": "23"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index, frame in enumerate(reading.decode(video=0)):
            picture = frame.reformat(width=width, height=height, format="yuv420p")
            picture.pts, picture.time_base = index, Fraction(1, 25)
            writing.mux(stream.encode(picture))
        writing.mux(stream.encode(None))


def camera(name: str, rtsp: int, *, fps: float = 0.0, reconnect_max_s: float = 60.0) -> str:
    """A ``[[cameras]]`` block on the RTSP server."""
    source = f"rtsp://127.0.0.1:{rtsp}/cam.mp4?play_count=0"
    return f'[[cameras]]\nname = "{name}"\nsource = "{source}"\nanalysis_fps = {fps}\nreconnect_max_s = {reconnect_max_s}\n'


def write_settings(folder: Path, *, cameras: str, broker: int, http: int, model: str, more: str = "") -> None:
    """Write ``folder``/ferstream.toml."""
    (folder / "ferstream.toml").write_text(
        f'node = "bench"\n{cameras}\n[inference]\nmodel = "{model}"\n'
        f'[mqtt]\nurl = "mqtt://127.0.0.1:{broker}"\nmax_hz_per_face = 0\n'
        f'[http]\nlisten = "127.0.0.1:{http}"\n[outbox]\npath = "{folder / "outbox"}"\n[log]\nformat = "json"\n{more}'
    )


def scrape(port: int) -> dict[str, float]:
    """Samples of /metrics by name and labels; empty when nothing answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as reply:
            lines = reply.read().decode().splitlines()
    except (OSError, urllib.error.URLError):
        return {}
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line and not line.startswith("#"))}


def total(metrics: dict[str, float], prefix: str, **labels: str) -> float:
    """Sum of the samples of a metric with these labels."""
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    return sum(value for name, value in metrics.items() if name.partition("{")[0] == prefix and all(part in name for part in wanted))


@dataclass(frozen=True)
class Usage:
    """What a process uses."""

    cpu_s: float
    rss_mb: float
    threads: int
    files: int


def usage(pid: int) -> Usage:
    """Read it from /proc."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    rss_mb = int(status["VmRSS"].split()[0]) / 1024
    return Usage((int(fields[11]) + int(fields[12])) / TICKS_S, rss_mb, int(status["Threads"]), len(os.listdir(f"/proc/{pid}/fd")))


@dataclass
class Heard:
    """What a subscriber got: numbers by (boot, camera, schema) in order of arrival, and how old face events were."""

    latencies_ms: list[float] = field(default_factory=list)
    seqs: dict[tuple[str, str, str], list[int]] = field(default_factory=dict)
    states: dict[str, list[str]] = field(default_factory=dict)

    def on_message(self, client: Any, userdata: Any, message: Any) -> None:
        """Count one message."""
        if not message.payload:
            return  # a retained value that was taken back
        now = time.time()
        event = json.loads(message.payload)
        if event["schema"] == "ferstream.state/1":
            self.states.setdefault(event["camera"], []).append(event["status"])
            return
        self.seqs.setdefault((event["boot_id"], event["camera"], event["schema"]), []).append(event["seq"])
        if event["schema"] == "ferstream.face/1":
            self.latencies_ms.append(1000 * (now - datetime.fromisoformat(event["captured_at"]).timestamp()))

    def missing(self) -> int:
        """Numbers never heard between the first and the last of each series."""
        return sum(max(seqs) - min(seqs) + 1 - len(set(seqs)) for seqs in self.seqs.values())

    def doubles(self) -> int:
        """Deliveries beyond the first."""
        return sum(len(seqs) - len(set(seqs)) for seqs in self.seqs.values())

    def disordered(self) -> int:
        """First deliveries that came after a later number."""
        wrong = 0
        for seqs in self.seqs.values():
            seen: set[int] = set()
            highest = -1
            for seq in seqs:
                wrong += seq not in seen and seq < highest
                highest = max(highest, seq)
                seen.add(seq)
        return wrong


@contextmanager
def subscriber(port: int, *, client_id: str = "bench-subscriber") -> Iterator[Heard]:
    """Listen to faces, tracks and states in a thread; survives restarts of the broker with its session."""
    heard = Heard()
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=mqtt.MQTTv311, clean_session=False)
    client.on_message = heard.on_message

    def subscribe(*_: object) -> None:
        client.subscribe([(f"ferstream/bench/+/{kind}", 1) for kind in ("face", "track", "state")])

    client.on_connect = subscribe
    client.reconnect_delay_set(0.2, 0.5)  # type: ignore[arg-type]  # seconds; fractions work
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        yield heard
    finally:
        client.disconnect()
        client.loop_stop()


def percentile(values: list[float], q: float) -> float:
    """The value below which a share ``q`` lies."""
    ordered = sorted(values)  # a copy: the subscriber's thread goes on
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))] if ordered else float("nan")


def save(report: dict[str, Any], file: Path | None) -> None:
    """Print a report, and write it if wished."""
    text = json.dumps(report, indent=2)
    print(text)
    if file is not None:
        file.write_text(text + "\n")


def say(text: str) -> None:
    """Progress, on stderr."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)
