"""Export a bundle to other formats, and compare each with Keras.

Each exported file is run by its own runtime on the same faces as the Keras model. The largest difference of a
probability and the share of equal labels are reported.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import keras
import numpy as np

from ferstream.errors import ModelError
from ferstream.inference.bundle import KERAS_FILE, OPENVINO_BIN, OPENVINO_XML, Bundle
from ferstream.inference.classifier import Crops, Probabilities
from ferstream.inference.keras_file import check_keras_file
from ferstream.training.evaluation.timing import cost
from ferstream.training.export import convert, export_check
from ferstream.training.export.bundle_writer import BundleTarget, Measure, write_measured
from ferstream.training.export.layer_table import draw_architecture, write_layer_table
from ferstream.training.quiet import quiet_libraries

Run = Callable[[Path, Crops], Probabilities]


@dataclass(frozen=True, slots=True)
class Exported:
    """One finished export.

    Attributes:
        form: Name of the format.
        path: File or folder.
        size_bytes: Size on disk, with the .bin of an .xml.
        largest_difference: Of a probability to Keras's, 0..1; None for a format that cannot be run.
        same_label: Share of faces with the same label as with Keras, 0..1; None likewise.
    """

    form: str
    path: Path
    size_bytes: int
    largest_difference: float | None = None
    same_label: float | None = None


@dataclass(frozen=True, slots=True)
class Writer:
    """How one format is written and run.

    Attributes:
        file_name: Name of the file or folder.
        write: Writes the served model to a path; returns the path.
        run: Runs the file on faces (n, 48, 48) uint8; None for a format that cannot be run.
    """

    file_name: str
    write: Callable[[keras.Model, Path], Path]
    run: Run | None


WRITERS: Mapping[str, Writer] = MappingProxyType(
    {
        "openvino": Writer("openvino.xml", convert.to_openvino, export_check.run_openvino),
        "onnx": Writer("model.onnx", convert.to_onnx, export_check.run_onnx),
        "litert": Writer("model.tflite", convert.to_litert, export_check.run_litert),
        "savedmodel": Writer("saved_model", convert.to_savedmodel, export_check.run_savedmodel),
        "json": Writer("model.json", convert.to_json, None),
        "picture": Writer("architecture.png", draw_architecture, None),
        "table": Writer("layers.md", write_layer_table, None),
    }
)
INT8 = "openvino-int8"
FORMATS: tuple[str, ...] = ("openvino", INT8, *tuple(WRITERS)[1:])
"""Every format of ``export_bundle``, in the order they are written."""


def export_bundle(
    bundle: Bundle,
    *,
    out: Path,
    formats: Sequence[str],
    faces: Crops,
    calibration: Crops | None = None,
    measure: Measure = cost,
    writers: Mapping[str, Writer] = WRITERS,
    on_start: Callable[[str], None] = lambda _: None,
) -> Iterator[Exported]:
    """Write each format into a folder and compare it with Keras; yield each one when it is done.

    Args:
        bundle: A bundle with a ``model.keras``.
        out: Folder, made when missing.
        formats: Some of ``FORMATS``.
        faces: (n, 48, 48) uint8 to compare on.
        calibration: (n, 48, 48) uint8 real faces to calibrate the INT8 ranges on; needed for ``openvino-int8``.
        measure: Returns the metrics that the INT8 bundle records.
        writers: How each format other than ``openvino-int8`` is written and run.
        on_start: Called with the name of each format before it is written.

    Raises:
        ModelError: A format is unknown, or cannot be written here.
        BundleError: The bundle has no Keras file.
    """
    unknown = [form for form in formats if form not in FORMATS]
    if unknown:
        raise ModelError(f"format {unknown[0]!r} is unknown; choose among {', '.join(FORMATS)}")
    check_keras_file(bundle.file(KERAS_FILE))
    served = keras.saving.load_model(bundle.file(KERAS_FILE), compile=False, safe_mode=True)
    out.mkdir(parents=True, exist_ok=True)
    expected = export_check.run_keras(served, faces)
    for form in formats:
        on_start(form)
        with quiet_libraries():
            if form == INT8:
                path = _write_int8(bundle, served, out, calibration, measure)
                done = _compare(form, path, export_check.run_openvino, faces, expected)
            else:
                path = writers[form].write(served, out / writers[form].file_name)
                done = _compare(form, path, writers[form].run, faces, expected)
        yield done


def _write_int8(bundle: Bundle, served: keras.Model, out: Path, calibration: Crops | None, measure: Measure) -> Path:
    """Write the INT8 model as a bundle ``<name>-int8/<version>``, because it has scores and a cost of its own."""
    if calibration is None or not len(calibration):
        raise ModelError(
            "format openvino-int8: needs real faces to calibrate on; give --data with FER2013 or your own faces, or leave this format out"
        )
    source = bundle.manifest
    name = f"{source.name}-int8"
    target = BundleTarget(directory=out / name / source.version, name=name, version=source.version, replace=True)
    card = (
        f"# {target.name} {target.version}\n\n`{source.name}` {source.version} in 8 bits "
        f"(NNCF, quantised after training, calibrated on {len(calibration)} faces).\n"
    )
    with tempfile.TemporaryDirectory(prefix="ferstream-int8-") as scratch:
        xml = convert.to_openvino_int8(served, Path(scratch) / OPENVINO_XML, calibration)
        written = write_measured(
            target,
            measure=measure,
            card=card,
            files={OPENVINO_XML: xml, OPENVINO_BIN: xml.with_suffix(".bin")},
            alignment=source.alignment,
            temperature=source.temperature,
            recipe={"quantised_from": f"{source.name}/{source.version}", "calibration_faces": len(calibration)},
        )
    return written.file(OPENVINO_XML)


def _compare(form: str, path: Path, run: Run | None, faces: Crops, expected: Probabilities) -> Exported:
    size = _size_on_disk(path)
    if run is None:
        return Exported(form=form, path=path, size_bytes=size)
    rows = run(path, faces)
    return Exported(
        form=form,
        path=path,
        size_bytes=size,
        largest_difference=float(np.abs(rows - expected).max()),
        same_label=float((rows.argmax(1) == expected.argmax(1)).mean()),
    )


def _size_on_disk(path: Path) -> int:
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    weights = path.with_suffix(".bin")
    weights_size = weights.stat().st_size if path.suffix == ".xml" and weights.is_file() else 0
    return path.stat().st_size + weights_size
