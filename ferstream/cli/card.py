"""``ferstream card``: write the card of a model bundle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ferstream.errors import ConfigError

if TYPE_CHECKING:
    from ferstream.training.export.card import Stability


def card(
    model: str = typer.Argument(help="Name, name/version or folder of a bundle."),
    data: Path = typer.Option(..., "--data", help="fer2013.csv or a folder that holds it, with FER+'s fer2013new.csv beside it."),
    usage: str = typer.Option("PublicTest", "--usage", help="Split to measure on."),
    smoothing: Path | None = typer.Option(None, "--smoothing", help="Report of bench/smoothing.py: adds the stability figure."),
) -> None:
    """Measure a bundle as it is served, and write CARD.md with its pictures into its folder.

    What people wrote under "Limits" in an existing card is kept.
    """
    from ferstream.cli.outputs import check_folder, writing
    from ferstream.cli.progress import say
    from ferstream.inference.backends import open_classifier
    from ferstream.inference.bundle import load_bundle
    from ferstream.training.data.readers import read_faces
    from ferstream.training.evaluation.answers import answer
    from ferstream.training.evaluation.evaluate import evaluate_answers
    from ferstream.training.export.card import Measured, write_card

    bundle = load_bundle(model)
    stability = _read_stability(smoothing, bundle.manifest.name) if smoothing else None
    check_folder(bundle.directory)
    say(f"reading {data}")
    faces = read_faces(data, want_votes=True)
    say(f"loading {bundle.manifest.name} and classifying the faces of {usage}, and their mirror images")
    classifier = open_classifier(bundle, backend="openvino")
    try:
        answers = answer(classifier.classify, faces, usage)
    finally:
        classifier.close()
    majority, labels = (evaluate_answers(answers, faces, usage=usage, truth=truth) for truth in ("ferplus", "fer2013"))
    measured = Measured(usage=usage, majority=majority, labels=labels, answers=answers, stability=stability)
    with writing(bundle.directory):
        for path in write_card(bundle, measured):
            print(path)


def _read_stability(file: Path, model: str) -> Stability:
    """Read the stability figure of a model from the report of ``bench/smoothing.py``."""
    from ferstream.training.export.card import Stability

    try:
        rows = json.loads(file.read_text(encoding="utf-8"))[model]
        return Stability(each_frame=rows["each frame alone"]["stability"], smoothed=rows["evidence"]["stability"])
    except OSError as exc:
        raise ConfigError(f"{file}: {exc.strerror}") from exc
    except (ValueError, KeyError, TypeError) as exc:
        raise ConfigError(f"{file}: no report of bench/smoothing.py about {model}") from exc
