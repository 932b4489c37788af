"""The process of the embedded broker: ``python -m ferstream.publishing._broker_child CONFIG``.

It ends when the pipe on its stdin closes, which the kernel does however the parent dies. Signals
that reach the whole process group (Ctrl-C, systemd) are ignored: the parent's last events must
still find a broker.
"""

from __future__ import annotations

import os
import signal
import sys
import threading


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def main() -> None:
    """Serve until the parent goes away."""
    from iotcore import IotCoreBroker

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="parent-watch", daemon=True).start()
    IotCoreBroker(config_path=sys.argv[1]).run_forever()


if __name__ == "__main__":
    main()
