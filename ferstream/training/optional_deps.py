"""Check that the optional libraries of a command are installed, before the command does any work."""

from __future__ import annotations

import re
import sys
from importlib.metadata import PackageNotFoundError, requires
from importlib.util import find_spec

from ferstream.errors import ModelError


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
        raise ModelError(f"{command} needs {', '.join(missing)}, not installed here; install with: {install_command(missing)}")


def install_command(modules: list[str]) -> str:
    """Return a command that installs ``modules`` into the running Python, in the versions that ferstream was built for.

    An installed copy cannot be named to pip as ``ferstream[train]``: the package is not on an index. Its metadata
    still has the requirements of the extra, so these are given one by one.
    """
    wanted = " ".join(f"'{_requirement(name)}'" for name in modules)
    return f"uv pip install --python {sys.executable} {wanted}  (or {sys.executable} -m pip install ...)"


def _requirement(module: str) -> str:
    """Return the requirement of a module as ferstream's metadata states it, such as ``keras<4,>=3.12``; else its bare name."""
    try:
        stated = requires("ferstream") or []
    except PackageNotFoundError:
        stated = []
    names = (line.partition(";")[0].strip() for line in stated)
    return next((name for name in names if re.split(r"[^\w.-]", name, maxsplit=1)[0] == module), module)
