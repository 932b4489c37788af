"""``ferstream run``: the daemon."""

from __future__ import annotations

import faulthandler
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from ferstream.app.running import Running


def run(
    config: Path | None = typer.Option(
        None, "-c", "--config", metavar="FILE", help="Settings file; else ./ferstream.toml, /etc/ferstream/."
    ),
    seconds: float = typer.Option(0.0, "--seconds", min=0.0, help="Stop after so many seconds; 0 = never."),
    log_level: str | None = typer.Option(None, "--log-level", help="debug, info, warning or error."),
) -> None:
    """Run all cameras of the settings until SIGTERM. Without settings: webcam 0 and an embedded broker.

    SIGHUP reads the settings again. The first Ctrl-C or SIGTERM finishes the frames in the pipeline and stops; the
    second ends the process at once.
    """
    from ferstream.logs import catch_crashes, configure_logging
    from ferstream.settings import load, load_settings

    flags = {"log.level": log_level} if log_level else {}
    loaded = load(config, flags=flags)
    settings = loaded.settings
    configure_logging(level=settings.log.level, format=settings.log.format)
    catch_crashes()
    for note in (*loaded.notes, *loaded.passwords):
        logging.getLogger("ferstream").warning("settings: %s", note)
    # On SIGABRT (of systemd's watchdog) and on a crash of native code the stacks of all threads are written to the log.
    faulthandler.enable()

    from ferstream.app.daemon import Daemon

    daemon = Daemon(settings, reload=lambda: load_settings(config, flags=flags), seconds=seconds, on_running=_print_addresses)
    raise typer.Exit(int(daemon.run()))


def _print_addresses(running: Running) -> None:
    """Print the addresses of the broker and of the metrics page, on a terminal only; elsewhere the log has them."""
    if not sys.stderr.isatty():
        return
    from ferstream.runtime.redaction import redact_source

    mqtt = running.settings.mqtt
    where = f"127.0.0.1:{running.broker.port} (embedded)" if running.broker else redact_source(mqtt.url)
    print(f"publishing to {where}, topics {mqtt.prefix}/{running.settings.node}/#", file=sys.stderr)
    if running.broker is not None:
        from ferstream.app.broker import subscribe_command

        print(f"subscribe with: {subscribe_command(running.settings, running.broker)}", file=sys.stderr)
    if running.server is not None:
        print(f"metrics at {running.server.url}/metrics", file=sys.stderr)
