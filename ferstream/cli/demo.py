"""``ferstream demo``: the whole pipeline with nothing set up: a built-in clip and a broker of its own."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from ferstream.app.daemon import Running
    from ferstream.domain.event import Event, FaceEvent

EVERY_S = 1.0
"""Between two lines for the same face."""
BAR_CELLS = 20


def demo(
    source: str = typer.Option("demo:", "--source", help="What to look at: demo:, webcam:0, a file, rtsp://..."),
    seconds: float = typer.Option(0.0, "--seconds", min=0.0, help="End by itself after so long; 0 = at Ctrl-C."),
    model: str | None = typer.Option(None, "--model", help="Name, name/version or folder of a model bundle."),
    port: int = typer.Option(9108, "--port", min=0, max=65535, help="Port of the metrics page; a free one if it is taken."),
) -> None:
    """Show faces and what they resemble, publish them on a broker of its own, and say where to look."""
    from ferstream.logs import catch_crashes, configure_logging
    from ferstream.settings import load_settings

    configure_logging(level="warning", format="console")
    catch_crashes()
    typer.echo("Starting: models, broker, metrics page ...")
    flags: dict[str, Any] = {
        "node": "demo",
        "http.listen": f"127.0.0.1:{port if _is_free(port) else 0}",
        "outbox.path": "memory",
        "mqtt.url": "embedded",
        "publishing.summary_interval_s": 5.0,
    }
    if model is not None:
        flags["inference.model"] = model
    camera = {"name": "demo", "source": source, "realtime": True, "loop": True, "analysis_fps": 0}
    settings = load_settings(_no_file(), environ={}, flags={**flags, "cameras": [camera]})

    from ferstream.app.daemon import Daemon

    show = EventLines()
    daemon = Daemon(settings, seconds=seconds, durable=False, on_running=_greet, extra_sinks=(show,))
    code = daemon.run()
    typer.echo(f"{show.faces} face events shown and published. Next: write a ferstream.toml, see config/examples/.")
    raise typer.Exit(int(code))


def _no_file() -> str:
    import os

    return os.devnull


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _greet(running: Running) -> None:
    broker = running.broker
    topic = f"{running.settings.mqtt.prefix}/{running.settings.node}"
    if broker is not None:
        typer.echo(f"  subscribe      mosquitto_sub -h 127.0.0.1 -p {broker.port} -t '{topic}/#' -v")
    if running.server is not None:
        typer.echo(f"  metrics        {running.server.url}/metrics")
    typer.echo("  own camera     ferstream demo --source webcam:0   (or rtsp://user@host/path, or a video file)")
    typer.echo("  stop           Ctrl-C\n")


class EventLines:
    """A sink that prints a line a second for each face; publishing thread only."""

    def __init__(self) -> None:
        from rich.console import Console

        self.faces = 0
        self._console = Console(highlight=False)
        self._printed: dict[str, float] = {}

    def open(self) -> None:
        """Nothing to open."""

    def put(self, event: Event) -> None:
        """Print a face's present label, or that it left."""
        from ferstream.domain.event import FaceEvent

        if not isinstance(event, FaceEvent):
            return
        self.faces += 1
        now = time.monotonic()
        left = event.track.state == "left"
        if left or now - self._printed.get(event.track.id, 0.0) >= EVERY_S:
            self._printed[event.track.id] = now
            self._line(event, left)
        if left:
            self._printed.pop(event.track.id, None)

    def _line(self, event: FaceEvent, left: bool) -> None:
        smoothed = event.emotion.smoothed
        seconds = event.info.media_time_ns / 1e9
        if left:
            self._console.print(f"[dim]{seconds:6.1f} s  {event.track.id:<18} left after {event.track.age_ns / 1e9:.1f} s[/dim]")
            return
        bar = "#" * round(BAR_CELLS * smoothed.confidence)
        why = f"  ({event.emotion.abstained})" if event.emotion.abstained else ""
        colour = "dim" if smoothed.label == "unknown" else "green"
        self._console.print(
            f"{seconds:6.1f} s  {event.track.id:<18} [{colour}]{smoothed.label:<9}[/] {smoothed.confidence:4.2f} {bar:<{BAR_CELLS}}{why}"
        )

    def flush(self, timeout_s: float) -> int:
        """Nothing waits."""
        return 0

    def close(self) -> None:
        """Nothing to close."""
