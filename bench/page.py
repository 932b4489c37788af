"""What viewers of the live page cost: CPU of the daemon and latency of the pipeline with 0, 1 and 20 viewers, pixels off and on.

    python bench/page.py --json bench/results/page.json
    python bench/page.py --before OLD_TREE      beside a daemon without the page, from another tree

A real daemon analyses every frame of the built-in clip at 25 frames a second. The viewers are sockets of another process, which
read all that comes. The numbers of viewers take turns within one run of the daemon, so that all of them meet the same
machine; medians of the turns are shown.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import selectors
import signal
import socket
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from harness import PAUSE, ROOT, Server, free_port, save, say, scrape, total, usage

VIEWERS = (0, 1, 20)
LATENCY = "ferstream_capture_to_publish_seconds"
GOAL_CORES = 0.15
"""What 20 viewers may cost more than one, in cores."""


@dataclass(frozen=True)
class Window:
    """One measurement."""

    viewers: int
    cpu_percent: float
    fps: float
    p50_ms: float
    p99_ms: float
    frames_to_viewers: int
    skipped: int
    megabytes: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=12.0, help="of one measurement")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--cameras", type=int, default=1)
    parser.add_argument("--before", type=Path, help="tree of a version without the page")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    report: dict[str, Any] = {"seconds": options.seconds, "turns": options.turns, "cameras": options.cameras}
    report["machine_cores"] = len(os.sched_getaffinity(0))
    if options.before is not None:
        report["without_page"] = summary(measure(options, options.before, pixels=None))
    for pixels in (False, True):
        report["pixels_on" if pixels else "pixels_off"] = found = summary(measure(options, ROOT, pixels=pixels))
        report["pixels_on" if pixels else "pixels_off"]["20_over_1_cores"] = round(
            (found["20"]["cpu_percent"] - found["1"]["cpu_percent"]) / 100, 3
        )
    report["goal_cores"] = GOAL_CORES
    save(report, options.json)


def measure(options: argparse.Namespace, tree: Path, *, pixels: bool | None) -> list[Window]:
    """Run one daemon; ``pixels`` None is a version that knows no page, and has no viewers."""
    with tempfile.TemporaryDirectory(prefix="ferstream-bench-") as name:
        folder, port = Path(name), free_port()
        write_settings(folder, port, cameras=options.cameras, pixels=pixels)
        environment = [f"PYTHONPATH={tree}", f"STATE_DIRECTORY={folder}"]
        command = ["env", *environment, sys.executable, "-m", "ferstream", "run", "-c", str(folder / "ferstream.toml")]
        running = Server(command, port, folder / "ferstream.log")
        try:
            running.start(120.0)
            PAUSE.wait(8.0)
            windows = []
            for turn in range(options.turns):
                for viewers in VIEWERS if pixels is not None else (0,):
                    windows.append(watch(running, port, viewers, options.seconds))
                    say(f"{tree.name}, pixels {pixels}, turn {turn}: {windows[-1]}")
            if running.end(signal.SIGTERM):
                say(running.log[-3000:])
            return windows
        finally:
            running.end()


def write_settings(folder: Path, port: int, *, cameras: int, pixels: bool | None) -> None:
    sources = "\n".join(
        f'[[cameras]]\nname = "cam{n}"\nsource = "demo:"\nrealtime = true\nloop = true\nanalysis_fps = 0.0' for n in range(cameras)
    )
    page = "" if pixels is None else f"pixels = {str(pixels).lower()}\n"
    (folder / "ferstream.toml").write_text(
        f'node = "bench"\n{sources}\n[inference]\nmodel = "emotion-edge"\n[mqtt]\nurl = "embedded"\n'
        f'[http]\nlisten = "127.0.0.1:{port}"\n{page}[outbox]\npath = "memory"\n[log]\nformat = "json"\n'
    )


def watch(running: Server, port: int, viewers: int, seconds: float) -> Window:
    """Measure with so many viewers, which have all come before."""
    stop, results = multiprocessing.Event(), multiprocessing.Queue()  # type: ignore[var-annotated]
    process = multiprocessing.Process(target=look, args=(port, viewers, stop, results), daemon=True)
    process.start()
    results.get(timeout=60)  # all are there
    PAUSE.wait(2.0)
    before, cpu_before, started = scrape(port), usage(running.pid).cpu_s, time.monotonic()
    PAUSE.wait(seconds)
    cpu_s, wall_s, after = usage(running.pid).cpu_s - cpu_before, time.monotonic() - started, scrape(port)
    stop.set()
    octets = results.get(timeout=60)
    process.join(60)

    def grown(name: str, **labels: str) -> float:
        return total(after, name, **labels) - total(before, name, **labels)

    return Window(
        viewers=viewers,
        cpu_percent=round(100 * cpu_s / wall_s, 1),
        fps=round(grown("ferstream_frames_total", stage="publishing") / wall_s, 1),
        p50_ms=quantile_ms(before, after, 0.5),
        p99_ms=quantile_ms(before, after, 0.99),
        frames_to_viewers=round(grown("ferstream_live_messages_total", kind="frame")),
        skipped=round(grown("ferstream_live_frames_skipped_total")),
        megabytes=round(octets / 1e6, 1),
    )


def quantile_ms(before: dict[str, float], after: dict[str, float], q: float) -> float:
    """Estimate a quantile of the latency between two scrapes from its histogram."""
    bounds = sorted({name.partition('le="')[2].partition('"')[0] for name in after if name.startswith(f"{LATENCY}_bucket")}, key=float)
    counts = [total(after, f"{LATENCY}_bucket", le=bound) - total(before, f"{LATENCY}_bucket", le=bound) for bound in bounds]
    lower = below = 0.0
    for bound, count in zip(bounds, counts, strict=True):
        if count and count >= q * counts[-1]:
            return round(1000 * (lower + (float(bound) - lower) * (q * counts[-1] - below) / max(1.0, count - below)), 1)
        lower, below = float(bound), count
    return float("nan")


def look(port: int, viewers: int, stop: Event, results: Any) -> None:
    """Open streams and read them until told to stop; report first that all are open, then the octets read."""
    selector, octets = selectors.DefaultSelector(), 0
    socks = []
    for _ in range(viewers):
        socks.append(sock := socket.create_connection(("127.0.0.1", port)))
        sock.sendall(b"GET /api/1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = sock.recv(15)
        if not answer.endswith(b"200 OK"):
            raise SystemExit(f"a stream was refused: {answer!r}")
        selector.register(sock, selectors.EVENT_READ)
    results.put("open")
    while not stop.is_set():
        for key, _ in selector.select(0.2):
            octets += len(key.fileobj.recv(1 << 20))  # type: ignore[union-attr]
    results.put(octets)
    for sock in socks:
        sock.close()


def summary(windows: list[Window]) -> dict[str, Any]:
    """Medians of the turns, by number of viewers."""
    found: dict[str, Any] = {}
    for viewers in dict.fromkeys(window.viewers for window in windows):
        rows = [asdict(window) for window in windows if window.viewers == viewers]
        found[str(viewers)] = {key: round(statistics.median(row[key] for row in rows), 2) for key in rows[0] if key != "viewers"}
        found[str(viewers)]["cpu_percent_of_each_turn"] = [row["cpu_percent"] for row in rows]
    return found


if __name__ == "__main__":
    main()
