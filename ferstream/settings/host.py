"""What the machine says of itself when a key is left out."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path


def host_name() -> str:
    """Return the first label of the host name, fit for a topic."""
    return re.sub(r"[/+#\s\x00]", "-", socket.gethostname().partition(".")[0])[:64] or "ferstream"


def state_directory() -> Path:
    """Return where the daemon keeps what must outlive it: systemd's StateDirectory, else the user's state folder."""
    systemd = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(systemd) if systemd else Path(home).expanduser() / "ferstream"
