"""Entry point of the ``ferstream`` command: a known error is printed as one line, any other as a traceback without secrets."""

from __future__ import annotations

import os
import sys
import threading
import traceback

from ferstream.errors import ConfigError, ExitCode, FerstreamError
from ferstream.runtime.redaction import redact
from ferstream.runtime.shown_url import mask_urls
from ferstream.runtime.standard_streams import safe_standard_streams


def main() -> None:
    """Run the command line and end the process."""
    before = set(threading.enumerate())
    try:
        with safe_standard_streams():
            code = _run()
    except FerstreamError as exc:  # standard output could not be flushed
        sys.stderr.write(f"ferstream: {exc}\n")
        code = int(exc.exit_code)
    if any(thread.daemon for thread in set(threading.enumerate()) - before):
        # A call into native code that hangs, or was left behind. The interpreter would tear libraries down under it and abort.
        os._exit(code)
    sys.exit(code)


def _run() -> int:
    """Run the command line and return its exit code."""
    from ferstream.cli import app

    try:
        app(standalone_mode=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except FerstreamError as exc:
        # Messages about settings name keys such as "mqtt.password:", after which the redaction would mask a word of advice.
        sys.stderr.write(f"ferstream: {mask_urls(str(exc)) if isinstance(exc, ConfigError) else redact(str(exc))}\n")
        return int(exc.exit_code)
    except KeyboardInterrupt:
        return int(ExitCode.INTERRUPTED)
    except Exception as exc:  # noqa: BLE001 (the end of the process: any error is printed, without its secrets)
        sys.stderr.write(redact("".join(traceback.format_exception(exc))))
        return int(ExitCode.INTERNAL)
    return int(ExitCode.OK)


if __name__ == "__main__":
    main()
