"""``ferstream reload``: sends SIGHUP to the daemon, as ``systemctl reload`` does, for a daemon started by hand."""

from __future__ import annotations

import typer

from ferstream.errors import ConfigError


def reload(
    pid: int | None = typer.Option(None, "--pid", min=1, help="Process id of a 'ferstream run'. Default: the only one that is found."),
) -> None:
    """Make a running daemon read its settings again; cameras whose settings did not change keep running."""
    from ferstream.app.find_daemons import running_daemons, send_reload

    target = pid if pid is not None else only_daemon(running_daemons())
    send_reload(target)
    typer.echo(f"sent SIGHUP to process {target}; its log says which settings changed")


def only_daemon(running: list[int]) -> int:
    """Return the process id of the daemon, if exactly one is running.

    Raises:
        ConfigError: None or several are running.
    """
    if not running:
        raise ConfigError("no 'ferstream run' of this user was found; give its process id with --pid")
    if len(running) > 1:
        raise ConfigError(f"several daemons are running ({', '.join(map(str, running))}); choose one with --pid")
    return running[0]
