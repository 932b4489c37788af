"""Half an hour of trouble: four cameras, the broker restarted, cameras cut, settings reloaded; nothing may grow or be lost.

    python bench/soak.py --minutes 30 --json bench/results/soak.json --plot bench/results/soak.png

Every 2 minutes the broker is restarted, every minute one camera's server is killed for a few
seconds, every 3 minutes the settings are reloaded with one camera more or less. Checked at the
end: the sums of frames, faces and events; the slope of memory fitted after the warm-up, without the times with an extra camera; threads
and file handles.
"""

from __future__ import annotations

import argparse
import random
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from harness import (
    PAUSE,
    Server,
    camera,
    clip_of,
    daemon,
    free_port,
    mosquitto,
    rtsp_server,
    save,
    say,
    scrape,
    subscriber,
    total,
    usage,
    write_settings,
)

CAMERAS = 4
BROKER_EVERY_S, CUT_EVERY_S, RELOAD_EVERY_S = 120.0, 60.0, 180.0
SAMPLE_S = 5.0


class Schedule:
    """Says when something is due again."""

    def __init__(self, every_s: float, now: float) -> None:
        self._every_s, self._next = every_s, now + every_s

    def due(self, now: float) -> bool:
        if now < self._next:
            return False
        self._next += self._every_s
        return True


class Soak:
    """The servers, the daemon and what is done to them."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options, self.folder = options, folder
        self.drawn = random.Random(options.seed)
        clip_of("1280x720", folder)
        # One server a camera, so that one can be cut alone.
        self.rtsp: list[Server] = [rtsp_server(folder, free_port()) for _ in range(CAMERAS)]
        self.broker, self.http = mosquitto(folder, free_port()), free_port()
        self.extra = False
        self.settings()
        self.daemon = daemon(folder, self.http)
        self.done = {"broker_restarts": 0, "cuts": 0, "reloads": 0}

    def settings(self) -> None:
        blocks = [camera(f"cam{n}", server.port, fps=10, reconnect_max_s=5) for n, server in enumerate(self.rtsp)]
        if self.extra:
            blocks.append('[[cameras]]\nname = "extra"\nsource = "demo:"\nanalysis_fps = 2\n')
        write_settings(self.folder, cameras="\n".join(blocks), broker=self.broker.port, http=self.http, model=self.options.model)

    def restart_broker(self) -> None:
        self.broker.end(signal.SIGTERM)
        PAUSE.wait(self.drawn.uniform(0.5, 5.0))
        self.broker.start()
        self.done["broker_restarts"] += 1

    def cut(self) -> None:
        server = self.drawn.choice(self.rtsp)
        server.end(signal.SIGKILL)
        PAUSE.wait(self.drawn.uniform(0.5, 5.0))
        server.start()
        self.done["cuts"] += 1

    def reload(self) -> None:
        self.extra = not self.extra
        self.settings()
        self.daemon.send(signal.SIGHUP)
        self.done["reloads"] += 1

    def start(self) -> None:
        for server in self.rtsp:
            server.start()
        self.broker.start()

    def end(self) -> None:
        for server in (self.daemon, *self.rtsp, self.broker):
            server.end()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--warm-up", type=float, default=5.0, help="minutes before the memory is fitted")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", default="emotion-edge")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ferstream-soak-") as name:
        report, samples = run(options, Path(name))
    save(report, options.json)
    if options.plot is not None:
        plot(samples, report, options.plot)


def run(options: argparse.Namespace, folder: Path) -> tuple[dict[str, Any], list[dict[str, float]]]:
    soak = Soak(options, folder)
    samples: list[dict[str, float]] = []
    try:
        soak.start()
        with subscriber(soak.broker.port) as heard:
            soak.daemon.start()
            began = time.monotonic()
            broker, cut, reload = (Schedule(every, began) for every in (BROKER_EVERY_S, CUT_EVERY_S, RELOAD_EVERY_S))
            while (now := time.monotonic()) - began < 60 * options.minutes:
                for schedule, act in ((broker, soak.restart_broker), (cut, soak.cut), (reload, soak.reload)):
                    if schedule.due(now):
                        act()
                samples.append(sample(soak, began))
                if len(samples) % 12 == 0:
                    say(
                        f"{samples[-1]['minute']:5.1f} min  {samples[-1]['rss_mb']:6.1f} MB  {samples[-1]['threads']:.0f} threads  {soak.done}"
                    )
                PAUSE.wait(SAMPLE_S)
            PAUSE.wait(5)
            final = scrape(soak.http)
            code = soak.daemon.end(signal.SIGTERM)
            PAUSE.wait(2)
            return report_of(options, soak, samples, final, heard, code), samples
    finally:
        soak.end()


def sample(soak: Soak, began: float) -> dict[str, float]:
    used, metrics = usage(soak.daemon.pid), scrape(soak.http)
    return {
        "minute": (time.monotonic() - began) / 60,
        "rss_mb": used.rss_mb,
        "threads": used.threads,
        "files": used.files,
        "cpu_s": used.cpu_s,
        "outbox": metrics.get("ferstream_outbox_events", float("nan")),
        "cameras_up": total(metrics, "ferstream_camera_up"),
        "analysed": total(metrics, "ferstream_frames_total", stage="publishing"),
        "extra": float(soak.extra),
    }


def report_of(
    options: argparse.Namespace, soak: Soak, samples: list[dict[str, float]], final: dict[str, float], heard: Any, code: int | None
) -> dict[str, Any]:
    minutes = np.array([s["minute"] for s in samples])
    settled = minutes >= options.warm_up
    memory = np.array([s["rss_mb"] for s in samples])
    four = settled & ~np.array([bool(s["extra"]) for s in samples])  # one camera more takes memory of its own
    slope_mb_h = float(np.polyfit(minutes[four] / 60, memory[four], 1)[0]) if four.sum() > 2 else float("nan")
    captured, analysed = total(final, "ferstream_frames_total", stage="capture"), total(final, "ferstream_frames_total", stage="publishing")
    dropped = total(final, "ferstream_frames_dropped_total") - total(final, "ferstream_frames_dropped_total", stage="decode")
    plain = [s for s in samples if s["minute"] >= options.warm_up and not s["extra"]]
    quarter = max(1, len(plain) // 4)

    def ends(key: str) -> list[float]:
        return [float(np.median([s[key] for s in part])) for part in (plain[:quarter], plain[-quarter:])]

    return {
        "minutes": options.minutes,
        **soak.done,
        "frames": {"captured": captured, "analysed": analysed, "dropped": dropped, "in_flight": captured - analysed - dropped},
        "dropped_by_reason": {n: v for n, v in final.items() if n.startswith("ferstream_frames_dropped_total{") and v},
        "faces": {n: v for n, v in final.items() if n.startswith("ferstream_face") and not n.endswith("_created")},
        "events_missing": heard.missing(),
        "events_doubled": heard.doubles(),
        "events_disordered": heard.disordered(),
        "outbox_dropped": total(final, "ferstream_outbox_dropped_total"),
        "outbox_at_the_end": final.get("ferstream_outbox_events"),
        "rss_mb": {
            "after_warm_up": round(float(memory[settled][0] if settled.any() else memory[0]), 1),
            "max": round(float(memory.max()), 1),
            "end": round(float(memory[-1]), 1),
        },
        "rss_slope_mb_per_h": round(slope_mb_h, 3),
        "threads_first_and_last_quarter": ends("threads"),
        "files_first_and_last_quarter": ends("files"),
        "cpu_cores": round((samples[-1]["cpu_s"] - samples[0]["cpu_s"]) / (60 * (samples[-1]["minute"] - samples[0]["minute"])), 3),
        "exit_code": code,
    }


def plot(samples: list[dict[str, float]], report: dict[str, Any], file: Path) -> None:
    """Draw memory, threads, cameras and the outbox over time."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    minutes = [s["minute"] for s in samples]
    rows = (
        ("rss_mb", "resident MB"),
        ("threads", "threads"),
        ("files", "open files"),
        ("cameras_up", "cameras up"),
        ("outbox", "events in the outbox"),
    )
    figure, axes = plt.subplots(len(rows), 1, sharex=True, figsize=(9, 10), constrained_layout=True)
    for axis, (key, title) in zip(axes, rows, strict=True):
        axis.plot(minutes, [s[key] for s in samples], linewidth=1.2, color="#2a6f97")
        axis.set_ylabel(title)
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
    axes[0].set_title(
        f"{report['minutes']:.0f} minutes, 4 cameras: {report['broker_restarts']} broker restarts, {report['cuts']} cuts, "
        f"{report['reloads']} reloads; memory {report['rss_slope_mb_per_h']:+.2f} MB/h after warm-up"
    )
    axes[-1].set_xlabel("minutes")
    figure.savefig(file, dpi=110)


if __name__ == "__main__":
    main()
