"""Bytes a face of the Parquet files of an archive, by encoding: ``python bench/archive_parquet.py EVENTS.jsonl``.

The JSON lines of ``replay`` are repeated with noise (0.3 px, 20 % of a probability), because lines that are equal would compress to nothing;
and written once as they are, which shows what a short recording costs.
"""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from ferstream.archive.merging.dataset import FACES, LEVEL, ROWS_PER_GROUP, arrow_schema, encodings

REPETITIONS = 80
FLOATS = ("box", "score", "landmarks", "confidence", "smoothed_confidence", "probabilities")
Json = dict[str, Any]


def repeated(events: list[Json], chance: np.random.Generator) -> Iterator[Json]:
    """Yield the events again and again, each time at another place and with noise."""
    for repetition in range(REPETITIONS):
        shift = chance.uniform(-40, 40, 2)
        for event in events:
            yield noisy(event, repetition, shift, chance)


def noisy(event: Json, repetition: int, shift: np.ndarray[Any, Any], chance: np.random.Generator) -> Json:
    face, emotion, frame, track = event["face"], dict(event["emotion"]), event["frame"], event["track"]
    box = np.array(face["box"]) + np.append(shift, (0, 0)) + chance.normal(0, 0.3, 4)
    points = np.array(face["landmarks"]) + shift + chance.normal(0, 0.3, (5, 2))
    if emotion["probabilities"] is not None:
        values = (np.array(list(emotion["probabilities"].values())) + 1e-4) * np.exp(chance.normal(0, 0.2, 7))
        emotion["probabilities"] = dict(zip(emotion["probabilities"], np.round(values / values.sum(), 4).tolist(), strict=True))
    emotion["confidence"] = round(emotion["confidence"] * chance.uniform(0.9, 1), 4)
    emotion["smoothed"] = emotion["smoothed"] | {"confidence": round(emotion["smoothed"]["confidence"] * chance.uniform(0.9, 1), 4)}
    index = frame["index"] + repetition * 1000
    return event | {
        "frame": frame | {"index": index, "media_time_s": round(index * 0.0417, 3)},
        "track": track | {"id": f"{event['camera']}-replay-{int(track['id'].rpartition('-')[2]) + 20 * repetition}"},
        "face": {
            "box": np.round(box, 1).tolist(),
            "score": round(face["score"] * chance.uniform(0.98, 1), 4),
            "landmarks": np.round(points, 1).tolist(),
        },
        "emotion": emotion,
    }


def table(events: list[Json]) -> pa.Table:
    rows = [FACES.row(event | {"seq": seq}, 1_764_000_000_000 + event["frame"]["index"] * 40) for seq, event in enumerate(events)]
    schema = arrow_schema(FACES, plain=False)
    return pa.Table.from_arrays(
        [pa.array(values, kind) for values, kind in zip(zip(*rows, strict=True), schema.types, strict=True)], schema=schema
    )


def measure(data: pa.Table, what: str, **changes: Any) -> None:
    options = {"compression_level": LEVEL, "row_group_size": ROWS_PER_GROUP} | encodings(data.schema) | changes
    began = time.process_time()
    with io.BytesIO() as file:
        parquet.write_table(data, file, compression="zstd", **options)
        size = file.getbuffer().nbytes
    took = time.process_time() - began
    print(f"| {what} | {size / data.num_rows:.1f} | {took / data.num_rows * 1e6:.1f} |")


def report(data: pa.Table) -> None:
    chosen = encodings(data.schema)
    leaves = [leaf for leaf in chosen["use_dictionary"] if leaf.split(".")[0] in FLOATS]
    rest = [leaf for leaf in chosen["use_dictionary"] if leaf not in leaves]
    steady = [name for name, encoding in chosen["column_encoding"].items() if encoding == "DELTA_BINARY_PACKED"]
    print(f"\n{data.num_rows} rows\n\n| encoding | bytes a row | us a row |\n|---|---|---|")
    measure(data, "as chosen")
    measure(data, "defaults of pyarrow", use_dictionary=True, column_encoding=None)
    split = chosen["column_encoding"] | dict.fromkeys(leaves, "BYTE_STREAM_SPLIT")
    measure(data, "floats with byte_stream_split", use_dictionary=rest, column_encoding=split)
    measure(data, "floats plain", use_dictionary=rest)
    measure(data, "numbers and times with a dictionary", use_dictionary=[*chosen["use_dictionary"], *steady], column_encoding={})
    for rows in (16_384, 131_072, 262_144):
        measure(data, f"row groups of {rows}", row_group_size=rows)
    for level in (1, 9):
        measure(data, f"zstd level {level}", compression_level=level)


if __name__ == "__main__":
    lines = [json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()]
    report(table(list(repeated(lines, np.random.default_rng(1)))))
    report(table(lines))
