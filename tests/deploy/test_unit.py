"""The unit file in the eyes of systemd's own tools, and of the limits it was measured against."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

SYSTEMD = Path(__file__).resolve().parents[2] / "deploy" / "systemd"
UNIT = SYSTEMD / "ferstream.service"
DROP_INS = sorted((SYSTEMD / "drop-ins").glob("*.conf"))
MAX_EXPOSURE = 2.0


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("systemd-analyze is not installed (Debian: apt-get install systemd)")
    return subprocess.run([tool, "--no-pager", *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60)


def unit_in(folder: Path, drop_ins: list[Path]) -> Path:
    """A copy of the unit with the drop-ins in place and a program that exists."""
    text = UNIT.read_text().replace("/opt/ferstream/bin/ferstream", "/bin/true")
    (folder / "ferstream.service").write_text(text)
    (folder / "ferstream.service.d").mkdir()
    for drop_in in drop_ins:
        shutil.copy(drop_in, folder / "ferstream.service.d")
    return folder / "ferstream.service"


def setting(name: str) -> str:
    value: str = re.findall(rf"^{name}=(.*)$", UNIT.read_text(), re.MULTILINE)[-1]
    return value


def test_memory_is_limited_to_about_three_times_what_four_cameras_use() -> None:
    limit = re.fullmatch(r"(\d+)M", setting("MemoryMax"))
    assert limit is not None
    assert 3 * 380 <= int(limit[1]) <= 3 * 420


def test_an_upload_that_needs_too_much_memory_does_not_end_the_daemon() -> None:
    assert setting("OOMPolicy") == "continue"


def test_the_processes_of_uploads_may_take_the_lowest_priority() -> None:
    assert setting("SystemCallFilter") == "setpriority", "after the groups that are taken away"


@pytest.mark.parametrize(
    "drop_ins", [[], *([drop_in] for drop_in in DROP_INS), DROP_INS], ids=lambda d: "+".join(p.stem for p in d) or "plain"
)
def test_systemd_analyze_accepts_the_unit(tmp_path: Path, drop_ins: list[Path]) -> None:
    found = analyze("verify", "--man=no", "--recursive-errors=no", unit_in(tmp_path, drop_ins))
    # Other units of the machine may be faulty; ours is named in what concerns it.
    assert "ferstream" not in found.stderr, found.stderr
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize(
    "drop_ins", [[], *([drop_in] for drop_in in DROP_INS), DROP_INS], ids=lambda d: "+".join(p.stem for p in d) or "plain"
)
def test_systemd_analyze_rates_the_exposure_as_low(tmp_path: Path, drop_ins: list[Path]) -> None:
    found = analyze("security", "--offline=yes", unit_in(tmp_path, drop_ins))
    exposure = re.search(r"exposure level for ferstream\.service: ([\d.]+)", found.stdout)
    if exposure is None:
        pytest.skip(f"this systemd-analyze cannot judge a file: {found.stderr.strip()}")
    assert float(exposure[1]) <= MAX_EXPOSURE


def test_the_watchdog_of_the_process_is_quicker_than_that_of_systemd() -> None:
    """Ours, with stacks in the log, comes first; systemd's abort second; stopping has its own time."""
    assert int(setting("WatchdogSec")) >= 2 * 30
    assert int(setting("TimeoutStopSec")) > 10
    assert setting("Type") == "notify"
    assert setting("NotifyAccess") == "main"
    assert setting("Restart") == "on-failure"


def test_exit_codes_that_a_restart_cannot_fix_prevent_a_restart() -> None:
    from ferstream.errors import ExitCode

    assert setting("RestartPreventExitStatus").split() == [str(int(ExitCode.USAGE)), str(int(ExitCode.MODEL))]


def test_no_core_file_can_hold_pictures() -> None:
    assert setting("LimitCORE") == "0"


def test_openvino_may_write_code_and_the_unit_says_why() -> None:
    text = UNIT.read_text()
    assert not re.search(r"^MemoryDenyWriteExecute=", text, re.MULTILINE)
    assert "MemoryDenyWriteExecute is missing on purpose" in text
