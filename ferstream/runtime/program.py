"""How this program was started, and how its optional libraries are installed: for messages that advise a command."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

NAME = "ferstream"


def command(*words: str) -> str:
    """Return a command line that starts this program again with other words, for a person to copy.

    ``ferstream`` where the shell would find this program by that name, else the path that it was started by
    (``.venv/bin/ferstream``), or ``python -m ferstream``.
    """
    return f"{_start(sys.argv[0], sys.orig_argv[0])} {shlex.join(words)}"


def install_command(*packages: str, extra: str) -> str:
    """Return a command that installs packages into the running Python, in the versions that ferstream was built for.

    An installed copy cannot be named to pip as ``ferstream[train]``: the package is not on an index. Its metadata
    still has the requirements of the extra, so these are given one by one.

    Args:
        packages: Names of packages.
        extra: The extra of ferstream that has them, for an installation by ``install.sh``.
    """
    if _is_release(Path(sys.prefix)):
        return f"sudo deploy/install.sh --extra {extra}  (in the checkout that it was installed from)"
    wanted = " ".join(f"'{_requirement(name)}'" for name in packages)
    return f"uv pip install --python {sys.executable} {wanted}  (or {sys.executable} -m pip install ...; it is the extra {extra})"


def _start(script: str, python: str) -> str:
    path = Path(script)
    if path.name == "__main__.py" and path.parent.name == NAME:
        return f"{shlex.quote(python)} -m {NAME}"
    if path.name != NAME:  # a test, or another program that uses the package
        return NAME
    found = shutil.which(NAME)
    return NAME if found is not None and Path(found).resolve() == path.resolve() else shlex.quote(script)


def _is_release(prefix: Path) -> bool:
    """Return whether an environment is a release that install.sh made."""
    return prefix.parent.name == "releases" and (prefix / ".complete").exists()


def _requirement(package: str) -> str:
    """Return the requirement of a package as ferstream's metadata states it, such as ``keras<4,>=3.12``; else its bare name."""
    try:
        stated = requires(NAME) or []
    except PackageNotFoundError:
        stated = []
    names = (line.partition(";")[0].strip() for line in stated)
    return next((name for name in names if re.split(r"[^\w.-]", name, maxsplit=1)[0] == package), package)
