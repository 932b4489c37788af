"""Live cameras over real RTSP and MQTT: latency to a subscriber, drops, CPU and memory.

    python bench/live.py --seconds 60                                   one 1080p25 camera, every frame
    python bench/live.py --cameras 4 --size 1280x720 --fps 10 --seconds 300

A real RTSP server (aio-rtsp-toolkit) plays a clip in a loop, a real daemon analyses it, a paho
subscriber in this process stamps each event when it arrives. Everything shares this machine's
cores, the server and this program included.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from harness import (
    PAUSE,
    Heard,
    Server,
    camera,
    clip_of,
    daemon,
    free_port,
    mosquitto,
    percentile,
    rtsp_server,
    save,
    say,
    scrape,
    subscriber,
    total,
    usage,
    write_settings,
)


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
        save(measure(options, Path(name)), options.json)


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    clip_of(options.size, folder)
    rtsp, broker, http = rtsp_server(folder, free_port()), mosquitto(folder, free_port()), free_port()
    cameras = "\n".join(camera(f"cam{n}", rtsp.port, fps=options.fps) for n in range(options.cameras))
    write_settings(folder, cameras=cameras, broker=broker.port, http=http, model=options.model)
    running = daemon(folder, http)
    try:
        rtsp.start()
        broker.start()
        with subscriber(broker.port) as heard:
            running.start()
            report = watch(options, running, http, heard)
            report["exit_code"] = running.end(signal.SIGTERM)
            PAUSE.wait(0.5)
            report |= {"events_missing": heard.missing(), "events_disordered": heard.disordered()}
        if report["exit_code"]:
            say(running.log[-3000:])
        return report
    finally:
        for server in (running, rtsp, broker):
            server.end()


def watch(options: argparse.Namespace, running: Server, http: int, heard: Heard) -> dict[str, Any]:
    PAUSE.wait(options.warm_up)
    heard.latencies_ms.clear()
    before, cpu_before, started = scrape(http), usage(running.pid).cpu_s, time.monotonic()
    samples = []
    while time.monotonic() - started < options.seconds:
        PAUSE.wait(1.0)
        samples.append(usage(running.pid))
    wall_s = time.monotonic() - started
    after = scrape(http)

    def grown(name: str, **labels: str) -> float:
        return total(after, name, **labels) - total(before, name, **labels)

    rss = [sample.rss_mb for sample in samples]
    settled = rss[min(60, len(rss) // 2) :]
    dropped = grown("ferstream_frames_dropped_total")
    return {
        "cameras": options.cameras,
        "size": options.size,
        "analysis_fps": options.fps,
        "seconds": round(wall_s, 1),
        "frames_decoded": grown("ferstream_frames_total", stage="decode"),
        "frames_captured": grown("ferstream_frames_total", stage="capture"),
        "frames_analysed": grown("ferstream_frames_total", stage="publishing"),
        "frames_dropped": dropped,
        "frames_in_flight_change": grown("ferstream_frames_total", stage="capture")
        - grown("ferstream_frames_total", stage="publishing")
        - dropped,
        "faces": grown("ferstream_faces_total"),
        "events_heard": len(heard.latencies_ms),
        "latency_ms": {f"p{round(100 * q)}": round(percentile(heard.latencies_ms, q), 2) for q in (0.5, 0.9, 0.99, 1.0)},
        "cpu_cores": round((samples[-1].cpu_s - cpu_before) / wall_s, 3),
        "machine_cores": len(os.sched_getaffinity(0)),
        "rss_mb": {"first": round(rss[0], 1), "max": round(max(rss), 1), "last": round(rss[-1], 1)},
        "rss_growth_mb_after_first_minute": round(statistics.mean(settled[-10:]) - statistics.mean(settled[:10]), 2),
        "threads": {"first": samples[0].threads, "last": samples[-1].threads},
        "files": {"first": samples[0].files, "last": samples[-1].files},
    }


if __name__ == "__main__":
    main()
