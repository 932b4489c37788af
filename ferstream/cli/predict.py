"""``ferstream predict``: the faces in still pictures and their expressions."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from ferstream.inference.classifier import Classifier
    from ferstream.stills.analysis import PictureAnalyzer, PictureResult


def predict(  # noqa: PLR0913, PLR0917 (the options of the command)
    images: list[Path] = typer.Argument(help="Pictures: JPEG, PNG, WebP, BMP, TIFF, GIF."),
    model: str = typer.Option("auto", "--model", help="auto, or name, name/version or folder of a model bundle."),
    detect: bool = typer.Option(True, "--detect/--no-detect", help="Find the faces, or use each picture as one face crop."),
    out: Path = typer.Option(Path(), "--out", "-o", metavar="DIR", help="Folder of the annotated pictures, NAME.faces.png."),
    json_file: str | None = typer.Option(None, "--json", metavar="FILE", help="File of the JSON; - is stdout. Default: DIR/faces.json."),
    picture: bool = typer.Option(True, "--picture/--no-picture", help="Write annotated pictures, or only the JSON."),
    score: float = typer.Option(0.7, "--score", min=0.0, max=1.0, help="Lowest score of the face detector, 0..1."),
    min_face: float = typer.Option(16.0, "--min-face", min=1.0, metavar="PX", help="Smallest face, shorter side in pixels."),
    backend: str = typer.Option("auto", "--backend", help="auto, openvino or keras."),
    max_pixels: int = typer.Option(64_000_000, "--max-pixels", min=1, max=178_000_000, help="Largest picture, width times height."),
) -> None:
    """Find the faces in still pictures and classify their expressions.

    Writes each picture with its faces, NAME.faces.png, and faces.json into the folder of --out, by default the working folder, and
    prints the name of every file it wrote. Only you can read them (mode 600). It reads no settings file: neither masks nor
    privacy.aggregate_only apply to pictures that you give to it.

    Exit status: 0 also without any face; 3 when a picture cannot be read (the others are analysed); 5 for a model error;
    8 when the JSON or a picture cannot be written.
    """
    from ferstream.errors import ExitCode

    _check_outputs(out, json_file, picture=picture)
    analyzer, classifier = _open(model, backend, detect=detect, score=score, min_face=min_face, max_pixels=max_pixels)
    results, failed = _analyze_all(analyzer, images)
    _write(results, classifier, out=out, json_file=json_file, picture=picture)
    classifier.close()
    if failed:
        raise typer.Exit(int(ExitCode.SOURCE))


def _check_outputs(out: Path, json_file: str | None, *, picture: bool) -> None:
    from ferstream.cli.outputs import check_file, check_folder

    if picture or json_file is None:
        check_folder(out)
    if json_file not in {None, "-"}:
        check_file(Path(str(json_file)))


def _open(model: str, backend: str, *, detect: bool, score: float, min_face: float, max_pixels: int) -> tuple[PictureAnalyzer, Classifier]:
    from ferstream.detection.detector import DetectorLimits
    from ferstream.detection.factory import load_detector
    from ferstream.inference.backends import open_classifier
    from ferstream.inference.model_choice import open_bundle
    from ferstream.stills.analysis import PictureAnalyzer

    classifier = open_classifier(open_bundle(model, backend=backend)[0], backend=backend)
    detector = load_detector().new_detector(DetectorLimits(score=score, min_face_px=min_face)) if detect else None
    return PictureAnalyzer(detector=detector, classifier=classifier, max_pixels=max_pixels), classifier


def _analyze_all(analyzer: PictureAnalyzer, images: list[Path]) -> tuple[list[PictureResult], int]:
    """Return the results, and the number of pictures that could not be read."""
    from ferstream.errors import SourceError

    results, failed = [], 0
    for path in images:
        try:
            results.append(analyzer.analyze(path))
        except SourceError as exc:
            failed += 1
            print(f"ferstream: {exc}", file=sys.stderr)
    return results, failed


def _write(results: list[PictureResult], classifier: Classifier, *, out: Path, json_file: str | None, picture: bool) -> None:
    from ferstream.cli.outputs import make_private, writing
    from ferstream.stills.drawing import draw
    from ferstream.stills.report import as_json

    text = json.dumps(as_json(results, classifier), indent=2) + "\n"
    if json_file == "-":
        sys.stdout.write(text)
    files_to = sys.stderr if json_file in {"-", "/dev/stdout"} else sys.stdout
    with writing(out):
        for result, target in zip(results, _targets(results, out), strict=True):
            print(_summary(result), file=sys.stderr)
            if picture:
                print(f"wrote {draw(result, make_private(target))}", file=files_to)
        if json_file != "-":
            target = make_private(out / "faces.json" if json_file is None else Path(json_file))
            target.write_text(text, encoding="utf-8")
            print(f"wrote {target}", file=files_to)


def _targets(results: list[PictureResult], out: Path) -> list[Path]:
    """Return the paths of the annotated pictures; the second of one name is NAME-2.faces.png."""
    names: dict[str, int] = {}
    targets = []
    for result in results:
        stem = result.path.stem
        count = names[stem] = names.get(stem, 0) + 1
        targets.append(out / (f"{stem}.faces.png" if count == 1 else f"{stem}-{count}.faces.png"))
    return targets


def _summary(result: PictureResult) -> str:
    if not result.faces:
        return f"{result.path}: no face found"
    labels = ", ".join(
        f"{face.label} {face.confidence:.2f}" + (f" ({face.abstained.value})" if face.abstained else "") for face in result.faces
    )
    return f"{result.path}: {len(result.faces)} face{'s' if len(result.faces) > 1 else ''}: {labels}"
