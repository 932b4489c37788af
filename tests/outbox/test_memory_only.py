"""An outbox in memory writes no file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.outboxes import OneReader, message


def test_an_outbox_in_memory_writes_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    outbox = OneReader(None)
    outbox.open()
    for seq in range(100):
        outbox.append(message(seq))
    assert outbox.flush(0.3) == 100  # nothing took them, and nothing was stored
    outbox.close()
    assert list(tmp_path.iterdir()) == []
