"""``ferstream demo``: the whole pipeline without any setup, on a built-in clip and with an embedded broker."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from ferstream.runtime.program import command
from ferstream.runtime.standard_streams import stdout_closed

if TYPE_CHECKING:
    from ferstream.app.privacy import DemoPrivacy
    from ferstream.app.running import Running
    from ferstream.domain.message import Message
    from ferstream.domain.ports import SinkStatus
    from ferstream.settings import Settings

LINE_INTERVAL_S = 1.0
"""Shortest time in seconds between two lines of the same face."""
BUILT_IN = "demo:"
BAR_CELLS = 20
"""Width of the confidence bar in characters."""


def demo(
    source: str = typer.Option("demo:", "--source", help="Video source: demo:, webcam:0, a file, rtsp://..."),
    seconds: float = typer.Option(0.0, "--seconds", min=0.0, help="Stop after so many seconds; 0 = at Ctrl-C."),
    model: str | None = typer.Option(None, "--model", help="Name, name/version or folder of a model bundle."),
    port: int = typer.Option(9108, "--port", min=0, max=65535, help="Port of the page; if it is in use, a free port."),
    pixels: bool | None = typer.Option(
        None, "--pixels/--no-pixels", help="Whether the page shows pictures; by default those of the built-in clip alone."
    ),
) -> None:
    """Show faces with their expressions on a page and here, publish the events on an embedded broker, and print both addresses.

    A source that cannot be read is an error, exit status 3. With a source other than the built-in clip, the privacy settings that
    ferstream run would use here are obeyed: the masks of that source, and with privacy.aggregate_only only counts of groups are
    shown and published.
    """
    from ferstream.app.privacy import demo_privacy
    from ferstream.logs import catch_crashes, configure_logging

    configure_logging(level="warning", format="console")
    catch_crashes()
    privacy = demo_privacy(source)
    typer.echo("Starting models, broker and page ...")
    if privacy is not None and privacy.aggregate_only:
        typer.echo(f"privacy.aggregate_only is set ({privacy.where}): only counts of groups are shown and published")
    address = f"127.0.0.1:{port if _is_free(port) else 0}"
    settings = demo_settings(source, privacy, address=address, pixels=pixels, model=model)
    _try_source(settings)

    from ferstream.app.daemon import Daemon

    show = EventLines(aggregate_only=settings.privacy.aggregate_only)
    daemon = Daemon(settings, seconds=seconds, durable=False, on_running=_print_addresses, extra_sinks=(show,))
    code = daemon.run()
    kind = "summaries" if settings.privacy.aggregate_only else "face events"
    typer.echo(f"{show.events} {kind} published. Next step: write a ferstream.toml, see config/examples/.")
    raise typer.Exit(int(code))


def demo_settings(source: str, privacy: DemoPrivacy | None, *, address: str, pixels: bool | None, model: str | None) -> Settings:
    """Return the settings of a demo.

    Args:
        source: The video source.
        privacy: What the settings of ``ferstream run`` say for it; None for the built-in clip.
        address: ``host:port`` of the page.
        pixels: Whether the page shows pictures; None for those of the built-in clip alone. Never with ``aggregate_only``.
        model: Name or folder of a model bundle; None for the default.
    """
    from ferstream.settings import load_settings

    shown = source == BUILT_IN if pixels is None else pixels
    flags: dict[str, Any] = {
        "node": "demo",
        "http.listen": address,
        "http.pixels": shown,
        "outbox.path": "memory",
        "mqtt.url": "embedded",
        "publishing.summary_interval_s": 5.0,
    }
    if model is not None:
        flags["inference.model"] = model
    camera: dict[str, Any] = {"name": "demo", "source": source, "realtime": True, "loop": True, "analysis_fps": 0}
    if privacy is not None:
        camera |= {"masks": privacy.masks, **asdict(privacy.picture)}
        flags |= {"privacy.aggregate_only": privacy.aggregate_only, "privacy.min_group_size": privacy.min_group_size}
        flags["http.pixels"] = shown and not privacy.aggregate_only
    return load_settings(os.devnull, environ={}, flags={**flags, "cameras": [camera]})


def _try_source(settings: Settings) -> None:
    """Open the source once: one that cannot be read is an error, not a demo without faces. A pipe can be read only once."""
    from ferstream.app.checks.cameras import open_once
    from ferstream.capture.factory import reads_once

    camera = settings.cameras[0]
    if camera.source != BUILT_IN and not reads_once(camera.source):
        open_once(camera, width=settings.detection.width)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _print_addresses(running: Running) -> None:
    from ferstream.app.broker import subscribe_command

    if running.server is not None:
        typer.echo(f"\n  open           {running.server.url}/")
        typer.echo(f"                 {_shown(running.settings)}\n")
    if running.broker is not None:
        typer.echo(f"  subscribe      {subscribe_command(running.settings, running.broker)}")
    if running.server is not None:
        typer.echo(f"  metrics        {running.server.url}/metrics")
    typer.echo(f"  own camera     {command('demo', '--source', 'webcam:0')}   (or rtsp://host/path, or a video file)")
    typer.echo("  stop           Ctrl-C\n")


def _shown(settings: Settings) -> str:
    """Return what the page shows."""
    if settings.privacy.aggregate_only:
        return "counts of groups, status"
    pictures = "pictures" if settings.http.pixels else "stick figures instead of pictures (--pixels shows them)"
    return f"faces live, with {pictures}; status, stills and recordings"


class EventLines:
    """A sink that prints the label of each face once a second, or the counts of each interval; publishing thread only."""

    name = "terminal"

    def __init__(self, *, aggregate_only: bool = False) -> None:
        """Start with no events counted.

        Args:
            aggregate_only: Print the counts of intervals, because no events of single faces are published.
        """
        from rich.console import Console

        self.events = 0
        self._console = Console(highlight=False)
        self._aggregate_only = aggregate_only
        self._printed: dict[str, float] = {}
        self._stopped = False

    def open(self) -> None:
        """Do nothing: there is nothing to open."""

    def write(self, message: Message) -> None:
        """Print the current label of a face, that the face left, or the counts of an interval; end the demo when stdout is closed."""
        from ferstream.events.schemas import FACE, SUMMARY

        if message.schema != (SUMMARY if self._aggregate_only else FACE):
            return
        if stdout_closed() and not self._stopped:  # ``| head``: nobody sees the faces any more
            self._stopped = True
            os.kill(os.getpid(), signal.SIGTERM)
        self.events += 1
        event = json.loads(message.payload)
        if self._aggregate_only:
            self._summary(event)
        else:
            self._face(event)

    def _face(self, event: dict[str, Any]) -> None:
        track = event["track"]
        now, left = time.monotonic(), track["state"] == "left"
        if left or now - self._printed.get(track["id"], 0.0) >= LINE_INTERVAL_S:
            self._printed[track["id"]] = now
            self._line(event, left)
        if left:
            self._printed.pop(track["id"], None)

    def _summary(self, event: dict[str, Any]) -> None:
        counts = ", ".join(f"{label} {count}" for label, count in event["counts"].items() if count)
        self._console.print(f"{event['interval_s']:4.1f} s  {counts or 'no group that is large enough'}")

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
        """Return 0: no event waits."""
        return 0

    def close(self) -> None:
        """Do nothing: there is nothing to close."""

    def status(self) -> SinkStatus:
        """Return that the sink is ready: it has no connection."""
        from ferstream.domain.ports import SinkStatus

        return SinkStatus(self.name)
