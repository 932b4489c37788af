"""``ferstream predict``: faces and expressions of still pictures."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from ferstream.inference.classifier import Classifier
    from ferstream.stills.stills import Reading, StillReader


def predict(
    images: list[Path] = typer.Argument(help="Pictures: JPEG, PNG, WebP, BMP, TIFF, GIF."),
    model: str = typer.Option("emotion-edge", "--model", help="Name, name/version or folder of a model bundle."),
    detect: bool = typer.Option(True, "--detect/--no-detect", help="Find the faces, or take each picture as one face crop."),
    out: Path = typer.Option(Path(), "--out", "-o", metavar="DIR", help="Folder of the annotated pictures, NAME.faces.png."),
    json_file: str | None = typer.Option(
        None, "--json", metavar="FILE", help="Where the JSON goes; - is stdout. [default: DIR/faces.json]"
    ),
    picture: bool = typer.Option(True, "--picture/--no-picture", help="Write annotated pictures, or only the JSON."),
    score: float = typer.Option(0.7, "--score", min=0.0, max=1.0, help="Least confidence of the face detector."),
    min_face: float = typer.Option(16.0, "--min-face", min=1.0, metavar="PX", help="Smallest face, shorter side in pixels."),
    backend: str = typer.Option("auto", "--backend", help="auto, openvino or keras."),
) -> None:
    """Find the faces of still pictures and what their expressions resemble.

    Exit status: 0 also when there is no face, 3 when a picture cannot be read (the others are still done), 5 model, 8 when
    the JSON or a picture cannot be written.
    """
    from ferstream.errors import ExitCode

    _check_outputs(out, json_file, picture=picture)
    reader, classifier = _reader(model, backend, detect=detect, score=score, min_face=min_face)
    readings, failed = _read_all(reader, images)
    _write(readings, classifier, out=out, json_file=json_file, picture=picture)
    classifier.close()
    if failed:
        raise typer.Exit(int(ExitCode.SOURCE))


def _check_outputs(out: Path, json_file: str | None, *, picture: bool) -> None:
    from ferstream.training.export.outputs import check_file, check_folder

    if picture or json_file is None:
        check_folder(out)
    if json_file not in {None, "-"}:
        check_file(Path(str(json_file)))


def _reader(model: str, backend: str, *, detect: bool, score: float, min_face: float) -> tuple[StillReader, Classifier]:
    from ferstream.detection.detector import DetectorLimits
    from ferstream.detection.factory import load_detector
    from ferstream.inference.backends import open_classifier
    from ferstream.inference.bundle import load_bundle
    from ferstream.stills.stills import StillReader

    classifier = open_classifier(load_bundle(model), backend=backend)
    detector = load_detector().new_detector(DetectorLimits(score=score, min_face_px=min_face)) if detect else None
    return StillReader(detector=detector, classifier=classifier), classifier


def _read_all(reader: StillReader, images: list[Path]) -> tuple[list[Reading], int]:
    from ferstream.errors import SourceError

    readings, failed = [], 0
    for path in images:
        try:
            readings.append(reader.read(path))
        except SourceError as exc:
            failed += 1
            print(f"ferstream: {exc}", file=sys.stderr)
    return readings, failed


def _write(readings: list[Reading], classifier: Classifier, *, out: Path, json_file: str | None, picture: bool) -> None:
    from ferstream.stills.report import as_json, draw
    from ferstream.training.export.outputs import writing

    text = json.dumps(as_json(readings, classifier), indent=2) + "\n"
    if json_file == "-":
        sys.stdout.write(text)
    with writing(out):
        if json_file != "-":
            (out / "faces.json" if json_file is None else Path(json_file)).write_text(text, encoding="utf-8")
        for reading, target in zip(readings, _targets(readings, out), strict=True):
            print(_summary(reading) + (f" -> {draw(reading, target)}" if picture else ""), file=sys.stderr)


def _targets(readings: list[Reading], out: Path) -> list[Path]:
    """Name the annotated pictures; two of the same name get numbers."""
    names: dict[str, int] = {}
    targets = []
    for reading in readings:
        stem = reading.path.stem
        seen = names[stem] = names.get(stem, 0) + 1
        targets.append(out / (f"{stem}.faces.png" if seen == 1 else f"{stem}-{seen}.faces.png"))
    return targets


def _summary(reading: Reading) -> str:
    if not reading.faces:
        return f"{reading.path}: no face found"
    said = ", ".join(
        f"{face.label} {face.confidence:.2f}" + (f" ({face.abstained.value})" if face.abstained else "") for face in reading.faces
    )
    return f"{reading.path}: {len(reading.faces)} face{'s' if len(reading.faces) > 1 else ''}: {said}"
