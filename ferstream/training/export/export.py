"""Exporting a bundle to other formats, each proven against Keras on faces.

Every export is loaded by the runtime it is meant for and asked about the same faces as the Keras
model; the largest difference of any probability and the share of equal labels are reported.
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
from ferstream.training.evaluation.serving import Measure, write_measured
from ferstream.training.evaluation.timing import cost
from ferstream.training.export import convert, export_check
from ferstream.training.export.layer_table import draw_architecture, write_layer_table


@dataclass(frozen=True, slots=True)
class Exported:
    """One finished export.

    Attributes:
        form: Name of the format.
        path: File or folder.
        size_bytes: Its size on disk, with files beside it that belong to it.
        largest_difference: Of any probability to Keras's, 0..1; None where nothing can be run.
        same_label: Share of faces whose best label is Keras's, 0..1; None likewise.
    """

    form: str
    path: Path
    size_bytes: int
    largest_difference: float | None = None
    same_label: float | None = None


Run = Callable[[Path, Crops], Probabilities]


@dataclass(frozen=True, slots=True)
class _Format:
    file_name: str
    write: Callable[[keras.Model, Path], Path]
    run: Run | None


_FORMATS: Mapping[str, _Format] = MappingProxyType(
    {
        "openvino": _Format("openvino.xml", convert.to_openvino, export_check.run_openvino),
        "onnx": _Format("model.onnx", convert.to_onnx, export_check.run_onnx),
        "litert": _Format("model.tflite", convert.to_litert, export_check.run_litert),
        "savedmodel": _Format("saved_model", convert.to_savedmodel, export_check.run_savedmodel),
        "json": _Format("model.json", convert.to_json, None),
        "picture": _Format("architecture.png", draw_architecture, None),
        "table": _Format("layers.md", write_layer_table, None),
    }
)
INT8 = "openvino-int8"
FORMATS: tuple[str, ...] = ("openvino", INT8, *tuple(_FORMATS)[1:])
"""Every format ``export_bundle`` knows, in the order it writes them."""


def export_bundle(
    bundle: Bundle, *, out: Path, formats: Sequence[str], faces: Crops, calibration: Crops | None = None, measure: Measure = cost
) -> Iterator[Exported]:
    """Write each format into a folder and compare it with Keras; yields as each one is done.

    Args:
        bundle: A bundle that carries ``model.keras``.
        out: Folder, made when missing.
        formats: Some of ``FORMATS``.
        faces: (n, 48, 48) uint8 to compare on.
        calibration: (n, 48, 48) uint8 real faces that INT8 ranges come from; needed for ``openvino-int8``.
        measure: Gives the metrics that the INT8 bundle records.

    Raises:
        ModelError: A format is unknown, or cannot be written here.
        BundleError: The bundle has no Keras file.
    """
    unknown = [form for form in formats if form not in FORMATS]
    if unknown:
        raise ModelError(f"format {unknown[0]!r} is unknown; choose among {', '.join(FORMATS)}")
    served = keras.saving.load_model(bundle.file(KERAS_FILE), compile=False, safe_mode=True)
    out.mkdir(parents=True, exist_ok=True)
    expected = export_check.run_keras(served, faces)
    for form in formats:
        if form == INT8:
            yield _compared(form, _write_int8(bundle, served, out, calibration, measure), export_check.run_openvino, faces, expected)
            continue
        rule = _FORMATS[form]
        yield _compared(form, rule.write(served, out / rule.file_name), rule.run, faces, expected)


def _write_int8(bundle: Bundle, served: keras.Model, out: Path, calibration: Crops | None, measure: Measure) -> Path:
    """Write a bundle of its own, ``<name>-int8/<version>``: it is another model, with numbers of its own."""
    if calibration is None or not len(calibration):
        raise ModelError(
            "format openvino-int8: needs real faces to calibrate on; give --data with FER2013 or your own faces, or leave this format out"
        )
    said = bundle.manifest
    name = f"{said.name}-int8"
    with tempfile.TemporaryDirectory(prefix="ferstream-int8-") as scratch:
        xml = convert.to_openvino_int8(served, Path(scratch) / OPENVINO_XML, calibration)
        written = write_measured(
            measure,
            directory=out / name / said.version,
            files={OPENVINO_XML: xml, OPENVINO_BIN: xml.with_suffix(".bin")},
            card=f"# {name} {said.version}\n\n`{said.name}` {said.version} in 8 bits (NNCF, after training, {len(calibration)} faces).\n",
            replace=True,
            name=name,
            version=said.version,
            alignment=said.alignment,
            temperature=said.temperature,
            recipe={"quantised_from": f"{said.name}/{said.version}", "calibration_faces": len(calibration)},
        )
    return written.file(OPENVINO_XML)


def _compared(form: str, path: Path, run: Run | None, faces: Crops, expected: Probabilities) -> Exported:
    size = _size_on_disk(path)
    if run is None:
        return Exported(form=form, path=path, size_bytes=size)
    given = run(path, faces)
    return Exported(
        form=form,
        path=path,
        size_bytes=size,
        largest_difference=float(np.abs(given - expected).max()),
        same_label=float((given.argmax(1) == expected.argmax(1)).mean()),
    )


def _size_on_disk(path: Path) -> int:
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    weights = path.with_suffix(".bin")
    beside = weights.stat().st_size if path.suffix == ".xml" and weights.is_file() else 0
    return path.stat().st_size + beside
