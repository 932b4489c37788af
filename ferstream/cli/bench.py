"""``ferstream bench``: measures the pipeline and its bare kernels in the same process."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import typer


def bench(
    video: Path = typer.Argument(help="A recording."),
    out: Path | None = typer.Option(None, "--json", metavar="FILE", help="Write the numbers as JSON; - is stdout."),
    config: Path | None = typer.Option(None, "-c", "--config", metavar="FILE", help="Settings file."),
    model: str | None = typer.Option(None, "--model", help="Name, name/version or folder of a model bundle."),
    fps: float = typer.Option(0.0, "--fps", min=0.0, help="Frames to analyse per second of media time; 0 = every frame."),
    camera: str | None = typer.Option(None, "--camera", metavar="NAME", help="The camera of the settings whose masks apply."),
    turns: int = typer.Option(3, "--turns", min=1, help="Number of runs of each kind; the medians are reported."),
) -> None:
    """Measure frames per second, CPU time per frame and latency, and the same of the bare kernels on one core."""
    from ferstream.app.bench import bench_video
    from ferstream.app.factories import cores
    from ferstream.app.privacy import masks_of_recording
    from ferstream.app.replay import NO_FILE
    from ferstream.cli.outputs import check_file
    from ferstream.logs import configure_logging
    from ferstream.settings import load_settings

    configure_logging(level="warning", format="console")
    if out is not None and str(out) != "-":
        check_file(out)
    flags = {} if model is None else {"inference.model": model}
    settings = load_settings(config or NO_FILE, environ={} if config is None else None, flags=flags)
    masks = masks_of_recording(settings, camera)
    show = sys.stderr.isatty()

    def on_turn(turn: int, what: str) -> None:
        if show:
            print(f"\rrun {turn + 1} of {turns}: {what:<10}", end="", file=sys.stderr, flush=True)

    report = bench_video(video, settings=settings, turns=turns, cores=cores(), fps=fps, masks=masks, on_turn=on_turn)
    if show:
        print("\r" + " " * 40 + "\r", end="", file=sys.stderr)
    text = json.dumps(report.as_dict(), indent=2)
    if out is not None and str(out) != "-":
        out.write_text(text + "\n", encoding="utf-8")
    elif out is not None:
        print(text)
        return
    _print(report)


def _print(report: Any) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{report.video}: {report.frames} frames, {report.faces} faces, {report.cores} cores", title_justify="left")
    table.add_column("")
    table.add_column("pipeline", justify="right")
    table.add_column("bare kernels, one thread", justify="right")
    table.add_column("ratio", justify="right")
    table.add_row("frames/s", f"{report.fps:.1f}", f"{report.kernel_fps:.1f}", f"{report.speedup:.2f}")
    table.add_row("CPU ms/frame", f"{report.cpu_ms_per_frame:.2f}", f"{report.kernel_cpu_ms_per_frame:.2f}", f"{1 / report.efficiency:.2f}")
    console = Console()
    console.print(table)
    console.print("efficiency " + f"{report.efficiency:.3f}" + ", latency ms " + _pairs(report.latency_ms))
    console.print("kernels ms " + _pairs(report.kernels_ms))
    console.print("stages ms " + _pairs(report.stages_ms))


def _pairs(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in values.items())
