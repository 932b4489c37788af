"""``ferstream run``: the daemon."""

from __future__ import annotations

import faulthandler
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from ferstream.app.running import Running


def run(
    config: Path | None = typer.Option(None, "-c", "--config", metavar="FILE", help="Settings; else ./ferstream.toml, /etc/ferstream/."),
    seconds: float = typer.Option(0.0, "--seconds", min=0.0, help="End by itself after so long; 0 = never."),
    log_level: str | None = typer.Option(None, "--log-level", help="debug, info, warning or error."),
) -> None:
    """Run all cameras of the settings until SIGTERM. Without settings: webcam 0 and a broker of its own.

    SIGHUP reads the settings again. The first Ctrl-C or SIGTERM drains, the second leaves at once.
    """
    from ferstream.logs import catch_crashes, configure_logging
    from ferstream.settings import load_settings

    flags = {"log.level": log_level} if log_level else {}
    settings = load_settings(config, flags=flags)
    configure_logging(level=settings.log.level, format=settings.log.format)
    catch_crashes()
    # systemd's watchdog sends SIGABRT, and native code can crash: both leave the stacks of all threads in the log.
    faulthandler.enable()

    from ferstream.app.daemon import Daemon

    daemon = Daemon(settings, reload=lambda: load_settings(config, flags=flags), seconds=seconds, on_running=_greet)
    raise typer.Exit(int(daemon.run()))


def _greet(running: Running) -> None:
    """On a terminal: where to look. Under systemd the log line says it all."""
    if not sys.stderr.isatty():
        return
    mqtt = running.settings.mqtt
    where = f"127.0.0.1:{running.broker.port} (embedded)" if running.broker else mqtt.url
    print(f"publishing to {where}, topics {mqtt.prefix}/{running.settings.node}/#", file=sys.stderr)
    if running.server is not None:
        print(f"metrics at {running.server.url}/metrics", file=sys.stderr)
