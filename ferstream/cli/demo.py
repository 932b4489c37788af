"""``ferstream demo``: the whole pipeline with nothing set up: a built-in clip and a broker of its own."""

from __future__ import annotations

import json
import socket
import time
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from ferstream.app.running import Running
    from ferstream.domain.message import Message
    from ferstream.domain.ports import SinkStatus

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

    name = "terminal"

    def __init__(self) -> None:
        """Make it without faces."""
        from rich.console import Console

        self.faces = 0
        self._console = Console(highlight=False)
        self._printed: dict[str, float] = {}

    def open(self) -> None:
        """Nothing to open."""

    def write(self, message: Message) -> None:
        """Print a face's present label, or that it left."""
        from ferstream.events.schemas import FACE

        if message.schema != FACE:
            return
        self.faces += 1
        event = json.loads(message.payload)
        track = event["track"]
        now, left = time.monotonic(), track["state"] == "left"
        if left or now - self._printed.get(track["id"], 0.0) >= EVERY_S:
            self._printed[track["id"]] = now
            self._line(event, left)
        if left:
            self._printed.pop(track["id"], None)

    def _line(self, event: dict[str, Any], left: bool) -> None:
        track, smoothed = event["track"], event["emotion"]["smoothed"]
        head = f"{event['frame']['media_time_s']:6.1f} s  {track['id']:<18} "
        if left:
            self._console.print(f"[dim]{head}left after {track['age_s']:.1f} s[/dim]")
            return
        bar = "#" * round(BAR_CELLS * smoothed["confidence"])
        abstained = event["emotion"].get("abstained")
        why = f"  ({abstained})" if abstained else ""
        colour = "dim" if smoothed["label"] == "unknown" else "green"
        self._console.print(f"{head}[{colour}]{smoothed['label']:<9}[/] {smoothed['confidence']:4.2f} {bar:<{BAR_CELLS}}{why}")

    def flush(self, timeout_s: float) -> int:
        """Nothing waits: always 0."""
        return 0

    def close(self) -> None:
        """Nothing to close."""

    def status(self) -> SinkStatus:
        """It has no connection."""
        from ferstream.domain.ports import SinkStatus

        return SinkStatus(self.name)
