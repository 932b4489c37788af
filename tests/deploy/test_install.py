"""install.sh in a scratch root, with a small wheel in place of the real one so that nothing is downloaded."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import zipfile
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "deploy" / "install.sh"


def make_wheel(folder: Path, version: str, *, fails: bool = False) -> Path:
    """A wheel whose ``ferstream --version`` answers, or exits with 1."""
    folder.mkdir(parents=True, exist_ok=True)
    info = f"ferstream-{version}.dist-info"
    files = {
        "ferstream_stub.py": f"import sys\ndef main():\n    print('ferstream {version}')\n    sys.exit({int(fails)})\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: ferstream\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\nferstream = ferstream_stub:main\n",
    }
    record = "".join(f"{name},sha256={_digest(text)},{len(text.encode())}\n" for name, text in files.items())
    wheel = folder / f"ferstream-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in {**files, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return wheel


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def install(root: Path, *options: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    command = ["bash", str(SCRIPT), "--root", str(root), *options]
    path = f"{SCRIPT.parents[1] / '.tools/bin'}:{os.environ['PATH']}"
    return subprocess.run(command, capture_output=True, text=True, check=check, timeout=300, env={**os.environ, "PATH": path})


def version_of(root: Path) -> str:
    return subprocess.run([root / "opt/ferstream/bin/ferstream", "--version"], capture_output=True, text=True, check=True).stdout.strip()


def files_of(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if "releases/" not in str(path.relative_to(root))}


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("wheels")
    return {
        "1": make_wheel(folder, "1.0.0"),
        "2": make_wheel(folder, "2.0.0"),
        "3": make_wheel(folder, "3.0.0"),
        "bad": make_wheel(folder, "9.9.9", fails=True),
    }


@pytest.mark.timeout(400)  # without uv every release takes venv and pip some seconds
def test_the_whole_life_of_an_installation(tmp_path: Path, wheels: dict[str, Path]) -> None:
    """Install, again, upgrade, a broken upgrade, a third release, uninstall, purge: one scratch root, because each takes seconds."""
    root = tmp_path / "root with a space"
    first = install(root, "--wheel", str(wheels["1"]))
    assert version_of(root) == "ferstream 1.0.0"
    settings = root / "etc/ferstream/ferstream.toml"
    unit = root / "etc/systemd/system/ferstream.service"
    assert settings.read_bytes() == (SCRIPT.parents[1] / "config/ferstream.toml").read_bytes()
    assert unit.read_bytes() == (SCRIPT.parent / "systemd/ferstream.service").read_bytes()
    assert (root / "etc/credstore").stat().st_mode & 0o777 == 0o700
    assert "new: edit it" in first.stdout

    settings.write_text("# mine\n")
    before = files_of(root)
    again = install(root, "--wheel", str(wheels["1"]))
    assert "installed already" in again.stdout
    assert settings.read_text() == "# mine\n"
    assert files_of(root) - before == {"etc/ferstream/ferstream.toml.example"}

    install(root, "--wheel", str(wheels["2"]))
    assert version_of(root) == "ferstream 2.0.0"

    broken = install(root, "--wheel", str(wheels["bad"]), check=False)
    assert broken.returncode != 0
    assert "does not run" in broken.stderr
    assert version_of(root) == "ferstream 2.0.0"

    install(root, "--wheel", str(wheels["3"]))
    assert version_of(root) == "ferstream 3.0.0"
    assert len(list((root / "opt/ferstream/releases").iterdir())) == 2

    (root / "etc/credstore/ferstream.mqtt_password").write_text("hunter2hunter2")
    gone = install(root, "--uninstall")
    assert not unit.exists()
    assert not (root / "opt/ferstream").exists()
    assert settings.read_text() == "# mine\n"
    assert "kept" in gone.stdout
    install(root, "--uninstall", "--purge")
    assert [path for path in root.rglob("*") if not path.is_dir()] == []


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--wheel"], "needs a value"), (["--wheel", "/none.whl"], "is no file"), (["--frobnicate"], "unknown option --frobnicate")],
)
def test_wrong_arguments_are_reported(tmp_path: Path, options: list[str], message: str) -> None:
    found = install(tmp_path, *options, check=False)
    assert found.returncode != 0
    assert message in found.stderr


def test_help_is_shown() -> None:
    shown = subprocess.run(["bash", str(SCRIPT), "--help"], capture_output=True, text=True, check=True)
    assert "--uninstall" in shown.stdout
