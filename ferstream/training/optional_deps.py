"""Check that the optional libraries of a command are installed, before the command does any work."""

from __future__ import annotations

from importlib.util import find_spec

from ferstream.errors import ModelError
from ferstream.runtime.program import install_command


def require(*modules: str, command: str) -> None:
    """Check that libraries are installed, without importing them.

    Args:
        modules: Names of modules, such as ``keras``.
        command: The command that needs them, for the message.

    Raises:
        ModelError: One or more are missing. The message gives the command that installs them.
    """
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        how = install_command(*missing, extra="train")
        raise ModelError(f"{command} needs {', '.join(missing)}, not installed here; install with: {how}")
