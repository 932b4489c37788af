"""Goodput against offered load: looping 1080p recordings in real time as cameras, on one and two cores.

    python bench/goodput.py --before OLD_TREE --json bench/results/goodput.json --plot bench/results/goodput.png
    python bench/goodput.py --plot-only bench/results/goodput.json --plot bench/results/goodput.png

Each point is a real daemon (``ferstream run``) pinned to the cores, with Mosquitto beside it, read through /metrics.
``--before`` names an unpacked older version, which is measured in turns with this one on the same machine.
Points named ``mixed`` have as many cameras at 25 frames/s as at 10, which is what the figure for fairness is for.
The machine needs two cores; with fewer cameras than it can serve, offered and published are the same.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import CLIP, PAUSE, ROOT, Server, free_port, mosquitto, percentile, save, say, scrape, total, usage

NATIVE_FPS = 25.0
"""Frame rate of the recording."""
ANALYSIS_FPS = 10.0
"""Frames per second that a camera of an unmixed point asks for."""
STALENESS_S = 0.5
"""Staleness budget of the daemon, as its settings have it by default."""
UP_WITHIN_S = 40.0
"""Longest wait for the first published frame."""
LATENCY = "ferstream_capture_to_publish_seconds"


@dataclass(frozen=True)
class Point:
    """One measurement.

    Attributes:
        version: ``now`` or ``before``.
        cores: Cores of the daemon.
        cameras: Number of cameras.
        mixed: Whether every second camera asks for all its frames.
    """

    version: str
    cores: int
    cameras: int
    mixed: bool = False

    def rates(self) -> dict[str, float]:
        """Wanted frames per second of each camera."""
        return {f"cam{n:02d}": NATIVE_FPS if self.mixed and n % 2 else ANALYSIS_FPS for n in range(self.cameras)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--mixed", type=int, nargs="*", default=[8], help="cameras of the mixed points")
    parser.add_argument("--cores", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seconds", type=float, default=8.0, help="measured seconds of a point")
    parser.add_argument("--warm-up", type=float, default=3.0, help="seconds between the first published frame and the measurement")
    parser.add_argument("--before", type=Path, help="an unpacked older version to measure too")
    parser.add_argument("--video", type=Path, default=CLIP, help="the recording, 25 frames/s")
    parser.add_argument("--model", default="emotion-edge")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--plot-only", type=Path, metavar="JSON", help="draw a report that was measured earlier")
    options = parser.parse_args()
    if options.plot_only is not None:
        plot(json.loads(options.plot_only.read_text()), options.plot)
        return
    report = {
        "cores_of_machine": len(os.sched_getaffinity(0)),
        "model": options.model,
        "points": [measured(point, options) for point in points(options)],
    }
    save(report, options.json)
    if options.plot is not None:
        plot(report, options.plot)


def points(options: argparse.Namespace) -> Iterator[Point]:
    """The points of a run; the versions take turns."""
    versions = ["now"] if options.before is None else ["before", "now"]
    for cores in options.cores:
        for cameras in options.cameras:
            yield from (Point(version, cores, cameras) for version in versions)
        for cameras in options.mixed:
            yield from (Point(version, cores, cameras, mixed=True) for version in versions)


def measured(point: Point, options: argparse.Namespace) -> dict[str, Any]:
    """Run one daemon and return its numbers."""
    with tempfile.TemporaryDirectory(prefix="ferstream-bench-") as name:
        folder, http = Path(name), free_port()
        broker = mosquitto(folder, free_port())
        broker.start()
        write_settings(folder, point, video=options.video.resolve(), broker=broker.port, http=http, model=options.model)
        tree = ROOT if point.version == "now" else options.before.resolve()
        running = daemon(folder, http, tree=tree, cores=point.cores)
        try:
            running.start()
            result = watch(point, running, http, options)
        finally:
            exit_code = running.end(signal.SIGTERM)
            broker.end()
        if exit_code:
            say(running.log[-3000:])
    say(json.dumps(result | {"served": None}))
    return result


def daemon(folder: Path, http: int, *, tree: Path, cores: int) -> Server:
    """Return a daemon of the version in ``tree``, pinned to the first cores of this process."""
    pinned = ",".join(map(str, sorted(os.sched_getaffinity(0))[:cores]))
    command = ["env", f"PYTHONPATH={tree}", "taskset", "-c", pinned, sys.executable, "-P", "-m", "ferstream", "run"]
    return Server([*command, "-c", str(folder / "ferstream.toml")], http, folder / "ferstream.log")


def write_settings(folder: Path, point: Point, *, video: Path, broker: int, http: int, model: str) -> None:
    """Write ``folder``/ferstream.toml."""
    cameras = "\n".join(
        f'[[cameras]]\nname = "{name}"\nsource = "{video}"\nloop = true\nrealtime = true\n'
        f"analysis_fps = {0.0 if fps == NATIVE_FPS else fps}"
        for name, fps in point.rates().items()
    )
    (folder / "ferstream.toml").write_text(
        f'node = "bench"\n{cameras}\n[inference]\nmodel = "{model}"\n[mqtt]\nurl = "mqtt://127.0.0.1:{broker}"\n'
        f'[http]\nlisten = "127.0.0.1:{http}"\n[outbox]\npath = "memory"\n[log]\nformat = "json"\n[runtime]\nstaleness_s = {STALENESS_S}\n'
    )


def watch(point: Point, running: Server, http: int, options: argparse.Namespace) -> dict[str, Any]:
    """Wait until frames are published, then compare two scrapes."""
    end = time.monotonic() + UP_WITHIN_S
    while not total(scrape(http), "ferstream_frames_total", stage="publishing") and time.monotonic() < end:
        PAUSE.wait(0.2)
    PAUSE.wait(options.warm_up)
    before, cpu_before, started = scrape(http), usage(running.pid).cpu_s, time.monotonic()
    PAUSE.wait(options.seconds)
    after, wall_s = scrape(http), time.monotonic() - started
    cpu = (usage(running.pid).cpu_s - cpu_before) / wall_s

    def rate(name: str, **labels: str) -> float:
        return (total(after, name, **labels) - total(before, name, **labels)) / wall_s

    return report(point, rate, cpu=cpu, latency=latencies(before, after), overloaded=after.get("ferstream_overloaded"))


def report(point: Point, rate: Callable[..., float], *, cpu: float, latency: dict[str, float], overloaded: float | None) -> dict[str, Any]:
    """Return the figures of one point from its rates per second."""
    wanted = point.rates()
    served = {name: rate("ferstream_frames_total", camera=name, stage="publishing") / fps for name, fps in wanted.items()}
    detected = rate("ferstream_frames_total", stage="detection")
    published = rate("ferstream_frames_total", stage="publishing")
    return {
        "version": point.version,
        "cores": point.cores,
        "cameras": point.cameras,
        "mixed": point.mixed,
        "cpu_cores_obtained": round(cpu, 3),
        "offered_fps": sum(wanted.values()),
        "decoded_fps": round(rate("ferstream_frames_total", stage="decode"), 2),
        "captured_fps": round(rate("ferstream_frames_total", stage="capture"), 2),
        "detected_fps": round(detected, 2),
        "published_fps": round(published, 2),
        "published_share_of_detected": round(published / detected, 4) if detected else None,
        "dropped_fps": {
            f"{stage}/{reason}": round(rate("ferstream_frames_dropped_total", stage=stage, reason=reason), 2)
            for stage, reason in (("capture", "overflow"), ("detection", "stale"), ("inference", "stale"))
        },
        "work_ms": {
            stage: round(1000 * rate("ferstream_stage_duration_seconds_sum", stage=stage) / frames, 1)
            for stage in ("capture", "detection", "inference")
            if (frames := rate("ferstream_stage_duration_seconds_count", stage=stage))
        },
        "latency_s": latency,
        "unfairness": round(max(served.values()) / min(served.values()), 3) if min(served.values()) else None,
        "served": {name: round(share, 3) for name, share in served.items()},
        "overloaded": overloaded,
    }


def latencies(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """Return the bounds of the buckets with the median and the 99th percentile, and the share above the staleness budget."""
    bounds = sorted({float(name.partition('le="')[2].partition('"')[0]) for name in after if name.startswith(f"{LATENCY}_bucket")})
    counts = [total(after, f"{LATENCY}_bucket", le=le_of(bound)) - total(before, f"{LATENCY}_bucket", le=le_of(bound)) for bound in bounds]
    steps = [(bound, count - below) for bound, count, below in zip(bounds, counts, [0.0, *counts], strict=False)]
    observed = [bound for bound, count in steps for _ in range(round(count))]
    late = sum(bound > STALENESS_S for bound in observed) / len(observed) if observed else float("nan")
    return {"p50": percentile(observed, 0.5), "p99": percentile(observed, 0.99), "late_share": round(late, 4)}


def le_of(bound: float) -> str:
    """Return the label of a bucket as the page of metrics writes it."""
    return "+Inf" if bound == float("inf") else repr(bound)


def plot(report: dict[str, Any], file: Path) -> None:
    """Draw detected and published frames against offered ones, a panel for each number of cores."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    unmixed = [point for point in report["points"] if not point["mixed"]]
    cores = sorted({point["cores"] for point in unmixed})
    figure, axes = plt.subplots(1, len(cores), figsize=(6 * len(cores), 4.5), squeeze=False, constrained_layout=True)
    for axis, count in zip(axes[0], cores, strict=True):
        for version, colour in (("before", "#b23a48"), ("now", "#2a6f97")):
            line = [point for point in unmixed if point["cores"] == count and point["version"] == version]
            if line:
                offered = [point["offered_fps"] for point in line]
                axis.plot(offered, [point["published_fps"] for point in line], "o-", color=colour, label=f"{version}: published")
                axis.plot(offered, [point["detected_fps"] for point in line], "x--", color=colour, alpha=0.6, label=f"{version}: detected")
        axis.set(xscale="log", xlabel="offered frames/s (1080p, 10 per camera)", ylabel="frames/s", ylim=(0, None))
        axis.set_xticks(sorted({point["offered_fps"] for point in unmixed}), labels=sorted({round(p["offered_fps"]) for p in unmixed}))
        axis.minorticks_off()
        axis.set_title(f"{count} core{'s' if count > 1 else ''}")
        axis.grid(alpha=0.3)
        axis.legend()
    figure.savefig(file, dpi=110)


if __name__ == "__main__":
    main()
