"""Saying which optional parts are missing before half of a command has run."""

from __future__ import annotations

from importlib.util import find_spec

from ferstream.errors import ModelError


def require(*modules: str, command: str) -> None:
    """Make sure that optional libraries are installed, without importing them.

    Raises:
        ModelError: One is not; says how to install it.
    """
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise ModelError(f"{command} needs {', '.join(missing)}, which is not installed: pip install 'ferstream[train]'")
