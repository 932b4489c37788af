"""``ferstream predict``: the faces in still pictures and their expressions."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from ferstream.inference.classifier import Classifier
    from ferstream.stills.analysis import FaceResult, PictureAnalyzer, PictureResult

DETECTOR_SIZES = 8
"""Picture sizes whose networks the detector keeps: pictures of a folder may have a hundred sizes, and a network takes up to 40 MB."""


def predict(  # noqa: PLR0913, PLR0917 (the options of the command)
    images: list[Path] = typer.Argument(help="Pictures: JPEG, PNG, WebP, AVIF, BMP, TIFF, GIF."),
    model: str = typer.Option("auto", "--model", help="auto, or name, name/version or folder of a model bundle."),
    detect: bool = typer.Option(True, "--detect/--no-detect", help="Find the faces, or use each picture as one face crop."),
    out: Path = typer.Option(Path(), "--out", "-o", metavar="DIR", help="Folder of NAME.faces.png and faces.json."),
    json_file: str | None = typer.Option(None, "--json", metavar="FILE", help="File of the JSON; - is stdout. Default: DIR/faces.json."),
    picture: bool = typer.Option(True, "--picture/--no-picture", help="Write annotated pictures, or only the JSON."),
    score: float = typer.Option(0.7, "--score", min=0.0, max=1.0, help="Lowest score of the face detector, 0..1."),
    min_face: float = typer.Option(16.0, "--min-face", min=1.0, metavar="PX", help="Smallest face, shorter side in pixels."),
    backend: str = typer.Option("auto", "--backend", help="auto, openvino or keras."),
    max_pixels: int = typer.Option(64_000_000, "--max-pixels", min=1, max=178_000_000, help="Largest picture, width times height."),
) -> None:
    """Find the faces in still pictures and classify their expressions.

    Writes each picture with its faces, NAME.faces.png, and faces.json into the folder of --out, by default the working folder, and
    prints the name of every file it wrote. The second picture of one name becomes NAME-2.faces.png. Faces are numbered from left
    to right. Only you can read the files (mode 600). It reads no settings file: neither masks nor privacy.aggregate_only apply to
    pictures that you give to it.

    Exit status: 0 also without any face; 3 when a picture cannot be read (the others are analysed); 5 for a model error;
    8 when the JSON or a picture cannot be written.
    """
    from ferstream.errors import ExitCode

    _check_outputs(out, json_file, picture=picture)
    analyzer, classifier = _open(model, backend, detect=detect, score=score, min_face=min_face, max_pixels=max_pixels)
    outputs = _Outputs(images, out, json_file, picture=picture)
    # One picture at a time: nothing of a picture but its JSON is kept.
    found = [outputs.write_picture(index, _analyzed(analyzer, path)) for index, path in enumerate(images)]
    outputs.write_json([report for report in found if report is not None], classifier)
    classifier.close()
    if None in found:
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
    limits = DetectorLimits(score=score, min_face_px=min_face)
    detector = load_detector(keep_sizes=DETECTOR_SIZES).new_detector(limits) if detect else None
    return PictureAnalyzer(detector=detector, classifier=classifier, max_pixels=max_pixels), classifier


def _analyzed(analyzer: PictureAnalyzer, path: Path) -> PictureResult | None:
    """Analyse one picture. One that cannot be read is reported on stderr and gives None."""
    from ferstream.errors import SourceError

    try:
        return analyzer.analyze(path)
    except SourceError as exc:
        print(f"ferstream: {exc}", file=sys.stderr)
        return None


class _Outputs:
    """Writes annotated pictures, one as soon as it is analysed, and the JSON about all of them."""

    def __init__(self, images: list[Path], out: Path, json_file: str | None, *, picture: bool) -> None:
        """Name the files.

        Args:
            images: The pictures. None of them is overwritten.
            out: Folder of the annotated pictures.
            json_file: File of the JSON; ``-`` is stdout, None is faces.json in ``out``.
            picture: Whether annotated pictures are written.
        """
        from ferstream.stills.output_names import output_names

        self._out = out
        self._json = out / "faces.json" if json_file is None else Path(json_file)
        self._to_stdout = json_file == "-"
        self._files_to = sys.stderr if json_file in {"-", "/dev/stdout"} else sys.stdout
        kept = [path.name for path in (*images, self._json) if path.parent.resolve() == out.resolve()]
        self._names = output_names(images, taken=kept) if picture else []

    def write_picture(self, index: int, result: PictureResult | None) -> dict[str, Any] | None:
        """Report one picture, write it with its faces, and return its JSON; None for a picture that could not be read."""
        if result is None:
            return None
        from ferstream.cli.outputs import make_private, writing
        from ferstream.stills.drawing import draw
        from ferstream.stills.report import picture_json

        print(_summary(result), file=sys.stderr)
        if self._names:
            with writing(self._out):
                self._wrote(draw(result, make_private(self._out / self._names[index])))
        return picture_json(result)

    def write_json(self, found: list[dict[str, Any]], classifier: Classifier) -> None:
        """Write the JSON about all pictures."""
        from ferstream.cli.outputs import make_private, writing
        from ferstream.stills.report import as_json

        text = json.dumps(as_json(found, classifier), indent=2) + "\n"
        if self._to_stdout:
            sys.stdout.write(text)
            return
        with writing(self._json):
            make_private(self._json).write_text(text, encoding="utf-8")
            self._wrote(self._json)

    def _wrote(self, file: Path) -> None:
        from ferstream.runtime.printable import printable

        print(f"wrote {printable(file)}", file=self._files_to)


def _summary(result: PictureResult) -> str:
    from ferstream.runtime.printable import printable

    if not result.faces:
        return f"{printable(result.path)}: no face found"
    faces = f"{len(result.faces)} face{'s' if len(result.faces) > 1 else ''}"
    return f"{printable(result.path)}: {faces}: {', '.join(_face(face) for face in result.faces)}"


def _face(face: FaceResult) -> str:
    return f"{face.label} ({face.reason})" if face.abstained else f"{face.label} {face.confidence:.2f}"
