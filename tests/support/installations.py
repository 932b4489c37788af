"""A scratch checkout for install.sh, with small wheels in place of the real ones, so that nothing is downloaded."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = (
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "docs",
    "bench/README.md",
    "bench/results",
    "config",
    "deploy",
    "models",
)
PROJECT = """[project]
name = "ferstream"
version = "1.0.0"
requires-python = ">=3.11,<3.14"
dependencies = ["tinydep==1.0.0"]
[project.optional-dependencies]
more = []
"""


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def make_wheel(folder: Path, name: str, version: str, files: Mapping[str, str], *, requires: str = "", script: str = "") -> Path:
    """A wheel with these files; ``script`` is the name of a command that calls ``main`` of ``NAME_stub.py``."""
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n" + (f"Requires-Dist: {requires}\n" if requires else "")
    content = {
        **files,
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if script:
        content[f"{info}/entry_points.txt"] = f"[console_scripts]\n{script} = {name}_stub:main\n"
    record = "".join(f"{path},sha256={_digest(text)},{len(text.encode())}\n" for path, text in content.items())
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in {**content, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            archive.writestr(zipfile.ZipInfo(path), text)
    return wheel


def ferstream_wheel(folder: Path, version: str, *, fails: bool = False, requires: str = "tinydep==1.0.0") -> Path:
    """A wheel whose ``ferstream --version`` answers, or exits with 1."""
    code = f"import sys\ndef main():\n    print('ferstream {version}')\n    sys.exit({int(fails)})\n"
    return make_wheel(folder, "ferstream", version, {"ferstream_stub.py": code}, requires=requires, script="ferstream")


def uv() -> Path:
    """The uv that made this environment."""
    found = shutil.which("uv", path=f"{os.environ['PATH']}:{ROOT / '.tools/bin'}:{Path(sys.prefix).parent / '.tools/bin'}")
    if found is None:
        pytest.skip("uv is not installed: make setup")
    return Path(found)


@dataclass(frozen=True, slots=True)
class Checkout:
    """A copy of what install.sh reads, with a project whose only dependency is a small wheel.

    Attributes:
        folder: the checkout.
        index: the folder of wheels that uv and pip look into, instead of a package index.
    """

    folder: Path
    index: Path

    @classmethod
    def make(cls, folder: Path) -> Checkout:
        checkout = cls(folder / "checkout", folder / "index")
        checkout.index.mkdir(parents=True)
        for name in PAGES:
            source, target = ROOT / name, checkout.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.keras", "*.bin", "*.xml", "__pycache__"))
            else:
                shutil.copy(source, target)
        wheel = make_wheel(checkout.index, "tinydep", "1.0.0", {"tinydep.py": "VALUE = 1\n"})
        (checkout.folder / "pyproject.toml").write_text(PROJECT)
        subprocess.run([uv(), "lock", "--quiet", "--project", checkout.folder], check=True, env=checkout.environment(), timeout=120)
        # uv writes no hashes of wheels that lie in a folder, but reads them.
        lock = checkout.folder / "uv.lock"
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        lock.write_text(lock.read_text().replace(f'{wheel.name}" }}', f'{wheel.name}", hash = "sha256:{digest}" }}'))
        return checkout

    @property
    def _cache(self) -> Path:
        return self.folder.parent / "cache"

    def forget_downloads(self) -> None:
        """So that uv reads every wheel again."""
        shutil.rmtree(self._cache)

    def environment(self, path: str = "") -> dict[str, str]:
        """Variables that keep uv and pip off the network; ``path`` replaces the PATH, which else has uv."""
        return {
            "PATH": path or f"{uv().parent}:{os.environ['PATH']}",
            "HOME": str(self.folder.parent),
            "UV_NO_INDEX": "1",
            "UV_FIND_LINKS": str(self.index),
            "UV_OFFLINE": "1",
            "UV_NO_CONFIG": "1",
            "UV_CACHE_DIR": str(self._cache),
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.index),
            "PIP_CONFIG_FILE": os.devnull,
        }

    def install(self, root: Path, *options: str, check: bool = True, path: str = "") -> subprocess.CompletedProcess[str]:
        command = ["bash", str(self.folder / "deploy" / "install.sh"), "--root", str(root), *options]
        environment = self.environment(path)
        return subprocess.run(command, capture_output=True, text=True, check=check, timeout=300, env=environment)
