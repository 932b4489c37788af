"""Entry point of the ``ferstream`` command: a foreseen error becomes one line, any other a traceback without secrets."""

from __future__ import annotations

import sys
import traceback

from ferstream.errors import ConfigError, ExitCode, FerstreamError
from ferstream.runtime.redaction import redact


def main() -> None:
    """Run the command line; never returns."""
    from ferstream.cli import app

    try:
        app(standalone_mode=True)
    except FerstreamError as exc:
        # Problems of settings hold no secret by their making, and the patterns would take "password: a ..." for one.
        sys.stderr.write(f"ferstream: {exc if isinstance(exc, ConfigError) else redact(str(exc))}\n")
        sys.exit(int(exc.exit_code))
    except KeyboardInterrupt:
        sys.exit(int(ExitCode.INTERRUPTED))
    except Exception as exc:
        sys.stderr.write(redact("".join(traceback.format_exception(exc))))
        sys.exit(int(ExitCode.INTERNAL))


if __name__ == "__main__":
    main()
