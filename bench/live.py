"""Live cameras over real RTSP and MQTT: latency to a subscriber, drops, CPU and memory.

    python bench/live.py --seconds 60                                   one 1080p25 camera, every frame
    python bench/live.py --cameras 4 --size 1280x720 --fps 10 --seconds 300

A real RTSP server (aio-rtsp-toolkit) plays a clip in a loop, a real daemon analyses it, a paho
subscriber in this process stamps each event when it arrives. Everything shares this machine's
cores, the server and this program included.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import paho.mqtt.client as mqtt

ROOT = Path(__file__).resolve().parent.parent
CLIP = ROOT.parent / "shared" / "videos" / "people_walking_1080p.mp4"
TICKS_S = os.sysconf("SC_CLK_TCK")


@dataclass
class Heard:
    """What the subscriber got."""

    latencies_ms: list[float] = field(default_factory=list)
    seqs: dict[tuple[str, str, str], list[int]] = field(default_factory=dict)

    def on_message(self, client: Any, userdata: Any, message: Any) -> None:
        now = time.time()
        event = json.loads(message.payload)
        key = (event["boot_id"], event["camera"], event["schema"])
        self.seqs.setdefault(key, []).append(event["seq"])
        if event["schema"] == "ferstream.face/1":
            self.latencies_ms.append(1000 * (now - datetime.fromisoformat(event["captured_at"]).timestamp()))

    def gaps(self) -> int:
        return sum(max(0, b - a - 1) for seqs in self.seqs.values() for a, b in zip(sorted(seqs), sorted(seqs)[1:], strict=False))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int, process: subprocess.Popen[bytes], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit(f"nothing listens on port {port}")


def clip_of(size: str, folder: Path) -> None:
    """Put the clip of the wanted size into ``folder``; 25 fps H.264 without B frames, as cameras send it."""
    width, height = map(int, size.split("x"))
    with av.open(str(CLIP)) as source, av.open(str(folder / "cam.mp4"), "w") as target:
        stream = target.add_stream("libx264", rate=25, options={"preset": "veryfast", "bf": "0", "g": "50", "crf": "23"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index, frame in enumerate(source.decode(video=0)):
            picture = frame.reformat(width=width, height=height, format="yuv420p")
            picture.pts = index
            picture.time_base = Fraction(1, 25)
            target.mux(stream.encode(picture))
        target.mux(stream.encode(None))


def settings(folder: Path, *, cameras: int, fps: float, rtsp: int, broker: int, http: int, model: str) -> Path:
    blocks = [
        f'[[cameras]]\nname = "cam{n}"\nsource = "rtsp://127.0.0.1:{rtsp}/cam.mp4?play_count=0"\nanalysis_fps = {fps}\n' for n in range(cameras)
    ]
    text = (
        'node = "bench"\n'
        + "\n".join(blocks)
        + f'[inference]\nmodel = "{model}"\n'
        + f'[mqtt]\nurl = "mqtt://127.0.0.1:{broker}"\nmax_hz_per_face = 0\n'
        + f'[http]\nlisten = "127.0.0.1:{http}"\n[outbox]\npath = "{folder / "outbox"}"\n'
    )
    file = folder / "ferstream.toml"
    file.write_text(text)
    return file


def scrape(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as reply:
        lines = reply.read().decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line and not line.startswith("#"))}


def usage(pid: int) -> tuple[float, float, int, int]:
    """CPU seconds, resident MB, threads, open files."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    rss_mb = int(status["VmRSS"].split()[0]) / 1024
    return (int(fields[11]) + int(fields[12])) / TICKS_S, rss_mb, int(status["Threads"]), len(os.listdir(f"/proc/{pid}/fd"))


def total(metrics: dict[str, float], prefix: str, **labels: str) -> float:
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    return sum(value for name, value in metrics.items() if name.startswith(prefix + "{") and all(part in name for part in wanted))


def percentile(values: list[float], q: float) -> float:
    return sorted(values)[min(len(values) - 1, int(q * len(values)))] if values else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, default=1)
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--fps", type=float, default=0.0, help="analysis_fps")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--warm-up", type=float, default=10.0, help="seconds before anything is counted")
    parser.add_argument("--model", default="emotion-edge")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ferstream-bench-") as name:
        report = measure(options, Path(name))
    text = json.dumps(report, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    clip_of(options.size, folder)
    rtsp, broker_port, http = free_port(), free_port(), free_port()
    (folder / "mosquitto.conf").write_text(f"listener {broker_port} 127.0.0.1\nallow_anonymous true\n")
    mosquitto = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    config = settings(
        folder, cameras=options.cameras, fps=options.fps, rtsp=rtsp, broker=broker_port, http=http, model=options.model
    )
    bin_dir = Path(sys.executable).parent
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    processes = [
        subprocess.Popen([str(bin_dir / "rtsp-server"), "--dir", str(folder), "--host", "127.0.0.1", "--port", str(rtsp)], **quiet),
        subprocess.Popen([mosquitto, "-c", str(folder / "mosquitto.conf")], **quiet),
    ]
    heard = Heard()
    try:
        answers(rtsp, processes[0])
        answers(broker_port, processes[1])
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        client.on_message = heard.on_message
        client.connect("127.0.0.1", broker_port)
        for topic in ("face", "track"):
            client.subscribe(f"ferstream/bench/+/{topic}", qos=1)
        client.loop_start()
        log = (folder / "log").open("wb")
        daemon = subprocess.Popen([str(bin_dir / "ferstream"), "run", "-c", str(config)], stdout=log, stderr=log)
        processes.append(daemon)
        answers(http, daemon)
        report = watch(options, daemon, http, heard)
        daemon.terminate()
        report["exit_code"] = daemon.wait(20)
        threading.Event().wait(0.5)
        report["events_missing"] = heard.gaps()
        client.loop_stop()
        if report["exit_code"]:
            print((folder / "log").read_text(), file=sys.stderr)
        return report
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
            process.wait()


def watch(options: argparse.Namespace, daemon: subprocess.Popen[bytes], http: int, heard: Heard) -> dict[str, Any]:
    wait = threading.Event()
    wait.wait(options.warm_up)
    heard.latencies_ms.clear()
    before, cpu_before, started = scrape(http), usage(daemon.pid)[0], time.monotonic()
    samples = []
    while time.monotonic() - started < options.seconds and daemon.poll() is None:
        wait.wait(1.0)
        samples.append(usage(daemon.pid))
        if sys.stderr.isatty():
            print(f"\r{time.monotonic() - started:5.0f} s  {samples[-1][1]:.0f} MB", end="", file=sys.stderr)
    wall_s = time.monotonic() - started
    after = scrape(http)

    def grown(prefix: str, **labels: str) -> float:
        return total(after, prefix, **labels) - total(before, prefix, **labels)

    rss = [sample[1] for sample in samples]
    minute = rss[min(60, len(rss) // 2) :]
    flight = grown("ferstream_frames_total", stage="capture") - grown("ferstream_frames_total", stage="publishing")
    return {
        "cameras": options.cameras,
        "size": options.size,
        "analysis_fps": options.fps,
        "seconds": round(wall_s, 1),
        "frames_decoded": grown("ferstream_frames_total", stage="decode"),
        "frames_captured": grown("ferstream_frames_total", stage="capture"),
        "frames_analysed": grown("ferstream_frames_total", stage="publishing"),
        "frames_dropped": grown("ferstream_frames_dropped_total"),
        "frames_in_flight_change": flight - grown("ferstream_frames_dropped_total"),
        "faces": grown("ferstream_faces_total"),
        "events_heard": len(heard.latencies_ms),
        "latency_ms": {f"p{round(100 * q)}": round(percentile(heard.latencies_ms, q), 2) for q in (0.5, 0.9, 0.99, 1.0)},
        "cpu_cores": round((samples[-1][0] - cpu_before) / wall_s, 3),
        "machine_cores": len(os.sched_getaffinity(0)),
        "rss_mb": {"first": round(rss[0], 1), "max": round(max(rss), 1), "last": round(rss[-1], 1)},
        "rss_growth_mb_after_first_minute": round(statistics.mean(minute[-10:]) - statistics.mean(minute[:10]), 2),
        "threads": {"first": samples[0][2], "last": samples[-1][2]},
        "files": {"first": samples[0][3], "last": samples[-1][3]},
    }


if __name__ == "__main__":
    main()
