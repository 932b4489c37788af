"""``ferstream export``: write a model bundle in other formats, and compare each with Keras."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from ferstream.training.data.dataset import FaceSet
    from ferstream.training.export.bundle_writer import Measure
    from ferstream.training.export.export import Exported

_INT8_NOTE = ": quantised on real faces and measured, which takes a minute or more"


def export(
    model: str = typer.Argument("emotion-edge", help="Name, name/version or folder of a model bundle."),
    out: Path = typer.Option(Path("out/export"), "--out", "-o", metavar="DIR", help="Folder of the exported files."),
    formats: list[str] | None = typer.Option(
        None,
        "--format",
        "-f",
        help="openvino, openvino-int8, onnx, litert, savedmodel, json, picture, table; may be given several times. Default: all.",
    ),
    data: Path | None = typer.Option(
        None, "--data", metavar="PATH", help="fer2013.csv or a folder of faces, to compare on and to calibrate INT8 on."
    ),
    calibration: int = typer.Option(512, "--calibration", min=16, help="Faces to calibrate INT8 on."),
    faces: int = typer.Option(256, "--faces", min=1, help="Faces to compare on."),
) -> None:
    """Write a bundle in other formats, and print how much each one's probabilities differ from Keras's on the same faces.

    Without --data the faces are variations of a sample portrait, and INT8 is left out, because it needs real faces.
    """
    _load_keras()
    from ferstream.cli.outputs import check_folder, writing
    from ferstream.cli.progress import say
    from ferstream.inference.bundle import load_bundle
    from ferstream.training.export.export import FORMATS, INT8, export_bundle
    from ferstream.training.export.sample_faces import faces_for_export

    check_folder(out)
    bundle = load_bundle(model)
    labelled = None if data is None else _read(data)
    compared, calibrating, source = faces_for_export(labelled, faces=faces, calibration=calibration)
    made = export_bundle(
        bundle,
        out=out,
        formats=formats or [form for form in FORMATS if form != INT8 or calibrating is not None],
        faces=compared,
        calibration=calibrating,
        measure=_measure(labelled),
        on_start=lambda form: say(f"writing and comparing {form}" + (_INT8_NOTE if form == INT8 else "")),
    )
    print(f"compared with Keras on {len(compared)} faces of {source}", flush=True)
    with writing(out):
        for done in made:
            print(_line(done), flush=True)


def _read(data: Path) -> FaceSet:
    from ferstream.cli.progress import say
    from ferstream.training.data.readers import read_faces

    say(f"reading {data}")
    return read_faces(data, want_votes=True)


def _load_keras() -> None:
    from ferstream.cli.progress import say
    from ferstream.training.keras_import import import_keras
    from ferstream.training.optional_deps import require

    require("keras", "tensorflow", "onnxruntime", "nncf", command="ferstream export")
    say("loading Keras")
    import_keras()


def _measure(labelled: FaceSet | None) -> Measure:
    """Return what measures the INT8 bundle: its cost, and its scores on a test split where the data has one."""
    from ferstream.training.evaluation.timing import cost

    test = next((usage for usage in ("PublicTest", "PrivateTest") if labelled is not None and usage in labelled.usages), None)
    if labelled is None or test is None:
        return cost
    from ferstream.training.evaluation.bundle_metrics import bundle_metrics

    return lambda draft: bundle_metrics(draft, labelled, test)


def _line(done: Exported) -> str:
    size = f"{done.size_bytes / 1000:,.0f} kB"
    start = f"{done.form:<14} {size:>10}  "
    if done.largest_difference is None:
        return f"{start}{'':<48}{done.path}"
    difference = f"largest difference {done.largest_difference:.2e}, same label {done.same_label:.1%}"
    return f"{start}{difference:<48}{done.path}"
