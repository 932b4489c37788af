"""Entry point of the ``ferstream`` command: a known error is printed as one line, any other as a traceback without secrets."""

from __future__ import annotations

import sys
import traceback

from ferstream.errors import ConfigError, ExitCode, FerstreamError
from ferstream.runtime.redaction import redact
from ferstream.runtime.shown_url import mask_urls


def main() -> None:
    """Run the command line and end the process."""
    from ferstream.cli import app

    try:
        app(standalone_mode=True)
    except FerstreamError as exc:
        # Messages about settings name keys such as "mqtt.password:", after which the redaction would mask a word of advice.
        sys.stderr.write(f"ferstream: {mask_urls(str(exc)) if isinstance(exc, ConfigError) else redact(str(exc))}\n")
        sys.exit(int(exc.exit_code))
    except KeyboardInterrupt:
        sys.exit(int(ExitCode.INTERRUPTED))
    except Exception as exc:  # noqa: BLE001 (the end of the process: any error is printed, without its secrets)
        sys.stderr.write(redact("".join(traceback.format_exception(exc))))
        sys.exit(int(ExitCode.INTERNAL))


if __name__ == "__main__":
    main()
