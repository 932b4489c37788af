"""Gaps, doubles and disorder, told from the numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from ferstream.cli import app
from ferstream.events.gaps import GapFinder, StreamReport
from ferstream.events.schemas import FACE, STATE, SUMMARY, TRACK


def event(seq: Any, *, schema: str = FACE, camera: str = "door", boot_id: str = "b") -> dict[str, Any]:
    return {"schema": schema, "camera": camera, "boot_id": boot_id, "seq": seq}


def follow(*seqs: int) -> StreamReport:
    finder = GapFinder()
    for seq in seqs:
        finder.add(event(seq))
    return finder.streams["b", "door", FACE]


@pytest.mark.parametrize(
    ("seqs", "missing", "doubles", "late"),
    [
        ((0, 1, 2, 3), [], 0, 0),
        ((5, 6, 7), [], 0, 0),
        ((0, 1, 5), [(2, 4)], 0, 0),
        ((0, 1, 1, 2, 0), [], 2, 0),
        ((0, 5, 2), [(1, 1), (3, 4)], 0, 1),
        ((0, 3, 1, 2, 2), [], 1, 2),
        ((5, 2), [(3, 4)], 0, 1),
        ((5, 4), [], 0, 1),
    ],
)
def test_what_the_numbers_tell(seqs: tuple[int, ...], missing: list[tuple[int, int]], doubles: int, late: int) -> None:
    report = follow(*seqs)
    assert (report.missing, report.doubles, report.late, report.received) == (missing, doubles, late, len(seqs))


@given(st.lists(st.integers(0, 60), min_size=1, max_size=80))
def test_against_sets(seqs: list[int]) -> None:
    report = follow(*seqs)
    seen = set(seqs)
    lost = set(range(min(seen), max(seen) + 1)) - seen
    assert {n for low, high in report.missing for n in range(low, high + 1)} == lost
    assert report.missing == sorted(report.missing)
    assert report.doubles == len(seqs) - len(seen)
    assert report.late == sum(seq < max(seqs[:i]) and seq not in seqs[:i] for i, seq in enumerate(seqs) if i)


def test_a_huge_gap_costs_no_memory() -> None:
    assert follow(0, 10**15).missing_count == 10**15 - 1


def test_streams_are_apart_and_latest_values_do_not_count() -> None:
    finder = GapFinder()
    for seq, extra in ((0, {}), (9, {"boot_id": "c"}), (4, {"schema": TRACK}), (7, {"camera": "hall"}), (1, {})):
        finder.add(event(seq, **extra))
    for seq in (0, 9):
        finder.add(event(seq, schema=STATE))
        finder.add(event(seq, schema=SUMMARY))
    assert len(finder.streams) == 4
    assert finder.missing == 0


@pytest.mark.parametrize("message", [None, [], "x", {}, {"schema": "other/1"}, event("1"), event(True), event(None)])
def test_strange_messages_are_counted(message: object) -> None:
    finder = GapFinder()
    finder.add(message)
    assert finder.strange == 1
    assert not finder.streams


class TestCommand:
    def write(self, path: Path, *seqs: int) -> str:
        path.write_text("".join(json.dumps(event(seq)) + "\n" for seq in seqs))
        return str(path)

    def test_a_whole_file(self, tmp_path: Path) -> None:
        result = CliRunner().invoke(app, ["gaps", self.write(tmp_path / "e.jsonl", 0, 1, 2)])
        assert result.exit_code == 0
        assert "seq 0..2, 3 received, 0 missing, 0 doubled, 0 late" in result.stdout

    def test_a_file_with_gaps(self, tmp_path: Path) -> None:
        result = CliRunner().invoke(app, ["gaps", self.write(tmp_path / "e.jsonl", 0, 3, 7)])
        assert result.exit_code == 1
        assert "5 missing" in result.stdout
        assert "missing 1..2" in result.stdout

    def test_as_json(self, tmp_path: Path) -> None:
        result = CliRunner().invoke(app, ["gaps", "--json", self.write(tmp_path / "e.jsonl", 0, 2, 2)])
        report = json.loads(result.stdout)
        assert (report["missing"], report["streams"][0]["missing_ranges"], report["streams"][0]["doubles"]) == (1, [[1, 1]], 1)

    def test_lines_that_are_no_events(self, tmp_path: Path) -> None:
        path = tmp_path / "e.jsonl"
        path.write_bytes(b"nonsense\n\n[1]\n\xff\xfe\n")
        result = CliRunner().invoke(app, ["gaps", str(path)])
        assert result.exit_code == 0
        assert "3 messages were not ferstream events" in result.stdout

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["missing.jsonl"], "cannot read missing.jsonl: No such file"),
            (["--url", "tcp://x"], "--url: expected mqtt://"),
            (["--url", "mqtt://user:secret@host"], "--password-file"),
            (["--protocol", "4"], "expected 5 or 3.1.1"),
            (["--password-file", "missing", "--seconds", "1"], "--password-file missing: No such file"),
        ],
    )
    def test_wrong_words(self, words: list[str], message: str) -> None:
        result = CliRunner().invoke(app, ["gaps", *words])
        assert result.exit_code != 0
        assert message in str(result.exception)
        assert "secret" not in str(result.exception)


class TestSchemaCommand:
    def test_prints_one(self) -> None:
        result = CliRunner().invoke(app, ["schema", "face"])
        assert json.loads(result.stdout)["title"] == FACE

    def test_writes_all(self, tmp_path: Path) -> None:
        assert CliRunner().invoke(app, ["schema", "--directory", str(tmp_path / "new")]).exit_code == 0
        assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
            f"{kind}-1.json" for kind in ("face", "node", "state", "summary", "track")
        ]

    def test_an_unknown_name(self) -> None:
        result = CliRunner().invoke(app, ["schema", "smile"])
        assert "expected one of face, track, summary, state" in str(result.exception)
