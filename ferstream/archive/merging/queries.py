"""The page beside the data of an archive: what the files hold, and queries for DuckDB and Polars that answer the first questions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ferstream.archive.merging.dataset import FACES, TRACKS, ListColumn, TableFormat
from ferstream.archive.merging.minutes import SUMMARY_COLUMNS
from ferstream.archive.plan import Plan
from ferstream.sinks.table.columns import Column

README = "README.md"


@dataclass(frozen=True, slots=True)
class Query:
    """A question and its answer in two languages.

    Attributes:
        question: The question.
        duckdb: SQL for DuckDB, run in the folder of the archive.
        polars: Python with Polars as ``pl``, run in the folder of the archive; the value of the last line is the answer.
    """

    question: str
    duckdb: str
    polars: str


VIEWS = Query(
    "Names for the files:",
    """
CREATE VIEW faces AS
FROM read_parquet('events/*/*/*.parquet', hive_partitioning = true, hive_types = {'camera': VARCHAR, 'date': DATE});
CREATE VIEW tracks AS
FROM read_parquet('tracks/*/*/*.parquet', hive_partitioning = true, hive_types = {'camera': VARCHAR, 'date': DATE});
CREATE VIEW minutes AS FROM 'summary.parquet';
SET TimeZone = 'UTC';
""",
    """
import polars as pl

folders = {"camera": pl.String, "date": pl.Date}
faces = pl.scan_parquet("events/*/*/*.parquet", hive_schema=folders)
tracks = pl.scan_parquet("tracks/*/*/*.parquet", hive_schema=folders)
minutes = pl.scan_parquet("summary.parquet")
""",
)
"""What comes before each query. The types are given, or a camera named ``0012`` would be the number 12."""

QUERIES: tuple[Query, ...] = (
    Query(
        "How often is each label seen, by camera?",
        """
SELECT camera, smoothed_label, count(*) AS faces
FROM faces
WHERE track_state <> 'left'
GROUP BY ALL ORDER BY ALL;
""",
        """
(
    faces.filter(pl.col("track_state") != "left")
    .group_by("camera", pl.col("smoothed_label").cast(pl.String))
    .agg(faces=pl.len())
    .sort("camera", "smoothed_label")
    .collect()
)
""",
    ),
    Query(
        "How long did each face stay, and what did it show?",
        """
SELECT camera, track_id, captured_at AS left_at, dwell_s, share_happy, share_neutral, share_unknown
FROM tracks
WHERE change = 'left'
ORDER BY dwell_s DESC, camera, track_id
LIMIT 20;
""",
        """
(
    tracks.filter(pl.col("change") == "left")
    .select(
        "camera",
        pl.col("track_id").cast(pl.String),
        pl.col("captured_at").alias("left_at"),
        "dwell_s",
        "share_happy",
        "share_neutral",
        "share_unknown",
    )
    .sort("dwell_s", "camera", "track_id", descending=[True, False, False])
    .head(20)
    .collect()
)
""",
    ),
    Query(
        "How many faces are in view in each hour, on average?",
        """
SELECT camera, date_trunc('hour', minute) AS hour, sum(faces) / sum(frames) AS mean_faces
FROM minutes
GROUP BY ALL ORDER BY ALL;
""",
        """
(
    minutes.group_by(pl.col("camera").cast(pl.String), hour=pl.col("minute").dt.truncate("1h"))
    .agg(mean_faces=pl.col("faces").sum() / pl.col("frames").sum())
    .sort("camera", "hour")
    .collect()
)
""",
    ),
    Query(
        "How sure was the model that clear faces were happy? Probabilities are in the order of the labels; SQL counts from 1.",
        """
SELECT camera, avg(probabilities[4]) AS happy, max(box[3]) AS widest_px
FROM faces
WHERE abstained IS NULL AND score > 0.8
GROUP BY ALL ORDER BY ALL;
""",
        """
(
    faces.filter(pl.col("abstained").is_null() & (pl.col("score") > 0.8))
    .group_by("camera")
    .agg(happy=pl.col("probabilities").arr.get(3).mean(), widest_px=pl.col("box").arr.get(2).max())
    .sort("camera")
    .collect()
)
""",
    ),
    Query(
        "From which label to which do faces change?",
        """
SELECT previous_label, smoothed_label, count(*) AS changes
FROM tracks
WHERE change = 'changed'
GROUP BY ALL ORDER BY changes DESC, previous_label, smoothed_label;
""",
        """
(
    tracks.filter(pl.col("change") == "changed")
    .group_by(pl.col("previous_label", "smoothed_label").cast(pl.String))
    .agg(changes=pl.len())
    .sort("changes", "previous_label", "smoothed_label", descending=[True, False, False])
    .collect()
)
""",
    ),
)


def readme(plan: Plan) -> str:
    """Return the page beside the data of an archive."""
    recordings = len(plan.recordings)
    return f"""# Faces of {recordings} recording{"" if recordings == 1 else "s"}

Made by `ferstream archive` (ferstream {plan.identity.get("ferstream", "")}, model {plan.identity.get("model", "")}).

- `events/camera=NAME/date=YYYY-MM-DD/NUMBER.parquet`: a row for each face in each frame. NUMBER is that of the recording in `plan.json`.
- `tracks/camera=NAME/date=YYYY-MM-DD/NUMBER.parquet`: a row for each change of a track: it appeared, changed its smoothed label, or left.
  The row of `left` has the whole life of the track: `dwell_s`, and the shares of the labels.
- `summary.parquet`: a row for each camera and minute.

Each recording is a camera. Times are UTC. Dates of recordings without a known time are counted from 1970-01-01.
The values are those of the JSON lines of `ferstream replay --events`, rounded as they are there.

## Queries

{queries_text()}

## Columns

{columns_text()}
"""


def queries_text() -> str:
    """Return all queries as Markdown."""
    return "\n\n".join(
        f"{query.question}\n\n```sql\n{query.duckdb.strip()}\n```\n\n```python\n{query.polars.strip()}\n```" for query in (VIEWS, *QUERIES)
    )


def columns_text() -> str:
    """Return the columns of all files as Markdown."""
    tables: Mapping[str, TableFormat] = {"events": FACES, "tracks": TRACKS}
    parts = [f"`{name}`, and `camera` and `date` from the folders:\n\n{_columns(table)}" for name, table in tables.items()]
    lines = "\n".join(f"| `{name}` | {meaning} |" for name, meaning in SUMMARY_COLUMNS)
    return "\n\n".join([*parts, f"`summary.parquet`:\n\n| column | meaning |\n|---|---|\n{lines}"])


def _columns(table: TableFormat) -> str:
    lines = "\n".join(f"| `{column.name}` | {_type(column)} | {column.unit} | {column.meaning} |" for column in table.columns)
    return f"| column | type | unit | meaning |\n|---|---|---|---|\n{lines}"


def _type(column: Column | ListColumn) -> str:
    return f"list of {column.length} float32" if isinstance(column, ListColumn) else column.kind.value
