"""The queries of the page beside the data run as they are written there, and both languages give the same answers."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ferstream.archive.merging.merge import MergeOptions, merge_archive
from ferstream.archive.merging.queries import columns_text, queries_text
from tests.archive.conftest import Replayed
from tests.support.archives import write_archive

duckdb = pytest.importorskip("duckdb")
pytest.importorskip("polars")
pytest.importorskip("pyarrow")

QUERIES = 5


@pytest.fixture(scope="module")
def archive(replayed: Replayed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of the clips that is merged. Its cameras have names that look like numbers."""
    folder = tmp_path_factory.mktemp("archive")
    recordings = [(replace(item.recording, camera=f"001{item.recording.number}"), [item.result]) for item in replayed.analysed]
    write_archive(folder, recordings, settings=replayed.settings, model=replayed.model)
    merge_archive(MergeOptions(archive=str(folder)))
    return folder


def blocks(text: str, language: str) -> list[str]:
    """The code in Markdown of one language."""
    return re.findall(rf"```{language}\n(.*?)\n```", text, re.DOTALL)


def value_of(code: str) -> Any:
    """The value of the last line of Python code."""
    tree = ast.parse(code)
    last = tree.body.pop()
    assert isinstance(last, ast.Expr)
    names: dict[str, Any] = {}
    exec(compile(tree, "query", "exec"), names)
    return eval(compile(ast.Expression(last.value), "query", "eval"), names)


@pytest.mark.parametrize("number", range(QUERIES))
def test_a_query_gives_the_same_answer_in_both_languages(archive: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    page = (archive / "README.md").read_text()
    (views, *sql), (scans, *python) = blocks(page, "sql"), blocks(page, "python")
    assert len(sql) == len(python) == QUERIES
    monkeypatch.chdir(archive)
    with duckdb.connect() as connection:
        connection.execute(views)
        answer = connection.sql(sql[number])
        names, rows = answer.columns, answer.fetchall()

    frame = value_of(f"{scans}\n{python[number]}")

    assert rows
    assert frame.columns == names
    assert [tuple(map(plain, row)) for row in frame.rows()] == [tuple(map(plain, row)) for row in rows]


def plain(value: Any) -> Any:
    """A value that is equal in both libraries: sums of floats are made in another order."""
    return round(value, 4) if isinstance(value, float) else str(value).replace("+00:00", "")


def test_every_column_of_the_files_is_described(archive: Path) -> None:
    import pyarrow.parquet

    page = (archive / "README.md").read_text()
    for file in archive.rglob("*.parquet"):
        for name in pyarrow.parquet.ParquetFile(file).schema_arrow.names:
            assert f"| `{name}` |" in page


def test_the_documentation_has_the_queries_and_the_columns(root_dir: Path) -> None:
    page = (root_dir / "docs" / "archive-data.md").read_text()

    assert queries_text() in page
    assert columns_text() in page
