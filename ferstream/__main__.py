"""Entry point of the ``ferstream`` command: turns foreseen errors into one line and an exit code."""

from __future__ import annotations

import sys

from ferstream.errors import ExitCode, FerstreamError


def main() -> None:
    """Run the command line; never returns."""
    from ferstream.cli import app

    try:
        app(standalone_mode=True)
    except FerstreamError as exc:
        print(f"ferstream: {exc}", file=sys.stderr)
        sys.exit(int(exc.exit_code))
    except KeyboardInterrupt:
        sys.exit(int(ExitCode.INTERRUPTED))


if __name__ == "__main__":
    main()
