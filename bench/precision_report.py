"""What float32, the device's own precision and INT8 cost and score: the numbers behind docs/adr/0010.

    python bench/precision_report.py --data FER2013.CSV [--model emotion-edge] [--calibration 1024]

INT8 is quantised here from Training faces and thrown away. One core, one crop at a time, the ways interleaved so that
a busy machine disturbs all of them alike; the median is printed.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import keras
import numpy as np

from ferstream.inference.bundle import KERAS_FILE, OPENVINO_BIN, OPENVINO_XML, load_bundle, write_bundle
from ferstream.inference.openvino import OpenVinoClassifier
from ferstream.training.data.readers import read_faces
from ferstream.training.evaluation.evaluate import true_classes
from ferstream.training.evaluation.scores import score
from ferstream.training.export.convert import to_openvino_int8
from ferstream.training.export.sample_faces import faces_for_export

ROUNDS = 300


def interleaved_ms(ways: dict[str, OpenVinoClassifier], crops: np.ndarray) -> dict[str, float]:
    """Median milliseconds for one crop of each way, taken in turns."""
    took: dict[str, list[float]] = {name: [] for name in ways}
    for index in range(ROUNDS):
        crop = crops[index % len(crops)][np.newaxis]
        for name, way in ways.items():
            start = time.perf_counter()
            way.classify(crop)
            took[name].append(time.perf_counter() - start)
    return {name: float(np.median(values)) * 1e3 for name, values in took.items()}


def main() -> None:
    """Read the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="emotion-edge")
    parser.add_argument("--calibration", type=int, default=1024)
    given = parser.parse_args()
    bundle = load_bundle(given.model)
    faces = read_faces(given.data, want_votes=True)
    test = faces.of_usage("PublicTest")
    _, calibration, _ = faces_for_export(faces, faces=1, calibration=given.calibration)
    assert calibration is not None
    served = keras.saving.load_model(bundle.file(KERAS_FILE), compile=False)
    with tempfile.TemporaryDirectory() as scratch:
        xml = to_openvino_int8(served, Path(scratch) / OPENVINO_XML, calibration)
        files = {OPENVINO_XML: xml, OPENVINO_BIN: xml.with_suffix(".bin")}
        int8 = write_bundle(directory=Path(scratch) / "int8" / "1", files=files, name="int8", version="1")
        ways = {
            "float32": OpenVinoClassifier(bundle=bundle, precision="f32"),
            "auto (as served)": OpenVinoClassifier(bundle=bundle),
            "INT8, float32 elsewhere": OpenVinoClassifier(bundle=int8, precision="f32"),
            "INT8, auto elsewhere": OpenVinoClassifier(bundle=int8),
        }
        for way in ways.values():
            way.warm_up()
        times = interleaved_ms(ways, test.pixels)
        exact = ways["float32"].classify(test.pixels)
        print(f"\n{bundle.directory}, {len(test)} PublicTest faces\n")
        print(
            "| precision | ms a face | FER+ majority | ECE | original labels | labels as float32 | largest difference |\n"
            + "|---" * 7
            + "|"
        )
        for name, way in ways.items():
            rows = way.classify(test.pixels)
            same = (rows.argmax(1) == exact.argmax(1)).mean()
            votes, labels = (score(rows[truth >= 0], truth[truth >= 0]) for truth in (true_classes(test, "ferplus"), test.labels))
            scores = f"{votes.accuracy:.2%} | {votes.ece:.3f} | {labels.accuracy:.2%}"
            print(f"| {name} | {times[name]:.2f} | {scores} | {same:.2%} | {np.abs(rows - exact).max():.3f} |", flush=True)


if __name__ == "__main__":
    main()
