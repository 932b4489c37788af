"""Commands whose output is read by programs write nothing else to stdout."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.clips import write_clip
from tests.support.daemon import ferstream
from tests.support.ports import free_port


@pytest.fixture
def lonely(tmp_path: Path) -> Path:
    """Settings with a broker that is not there, so that there is something to log."""
    file = tmp_path / "f.toml"
    file.write_text(f'[mqtt]\nurl = "mqtt://127.0.0.1:{free_port()}"\n[http]\nlisten = "127.0.0.1:0"\n[outbox]\npath = "memory"\n')
    return file


def test_replay_writes_only_events(lonely: Path, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=5)
    done = ferstream("replay", clip, "--events", "-", "--mqtt", "-c", lonely, cwd=tmp_path)
    for line in done.stdout.splitlines():
        assert json.loads(line)["schema"].startswith("ferstream.")


def test_check_writes_only_its_report(lonely: Path, tmp_path: Path) -> None:
    done = ferstream("check", "--json", "-c", lonely, cwd=tmp_path)
    assert json.loads(done.stdout)["exit_code"] == done.returncode == 3
