"""``ferstream evaluate``: the scores of a model on labelled faces, as a table, JSON and pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ferstream.cli.progress import say

if TYPE_CHECKING:
    from ferstream.inference.bundle import Bundle
    from ferstream.training.evaluation.evaluate import Evaluation
    from ferstream.training.evaluation.scores import Scores


def evaluate(  # noqa: PLR0913, PLR0917 (the options of the command)
    data: Path = typer.Option(..., "--data", help="fer2013.csv, a folder that holds it, or a folder of images <split>/<class>/*.png."),
    usage: str = typer.Option("PublicTest", "--usage", help="Training, PublicTest or PrivateTest."),
    model: str = typer.Option("emotion-edge", "--model", help="Name, name/version or folder of a bundle."),
    labels: str = typer.Option("fer2013", "--labels", help="fer2013: the original labels; ferplus: the majority of FER+'s votes."),
    votes: Path | None = typer.Option(None, "--votes", help="FER+'s fer2013new.csv; default: the one beside the csv."),
    json_file: Path | None = typer.Option(None, "--json", help="Write the numbers into this file."),
    plots: Path | None = typer.Option(None, "--plots", help="Write the pictures into this folder."),
    backend: str = typer.Option("auto", "--backend", help="auto, openvino or keras."),
    timing: bool = typer.Option(False, "--timing", help="Measure ms_per_face now instead of using the value that the bundle records."),
    align: bool = typer.Option(False, "--align", help="The folder holds whole photos: find and align the largest face of each."),
    conditions: bool = typer.Option(False, "--conditions", help="Also draw bad pictures and covered faces, and measure each."),
    condition_faces: int = typer.Option(0, "--condition-faces", min=0, help="Most faces for --conditions, evenly spread; 0 = all."),
    seed: int = typer.Option(0, "--seed", min=0, help="Seed of what --conditions draws."),
) -> None:
    """Measure a model on one split of a set of faces.

    Two runs write equal JSON, because ms_per_face is read from the bundle. It is measured with --timing, or where the
    bundle does not record it.
    """
    from ferstream.cli.conditions import draw_conditions, print_conditions, run_conditions
    from ferstream.cli.outputs import check_file, check_folder
    from ferstream.inference.backends import open_classifier
    from ferstream.inference.bundle import load_bundle
    from ferstream.training.data.readers import read_faces
    from ferstream.training.evaluation.evaluate import evaluate as evaluate_faces
    from ferstream.training.quiet import quiet_libraries

    _check_usage(usage)
    if json_file is not None:
        check_file(json_file)
    if plots is not None:
        check_folder(plots)
    bundle = load_bundle(model)
    say(f"reading {data}")
    faces = read_faces(data, votes=votes, want_votes=True, align=align)
    for line in faces.left_out():
        typer.echo(line)
    say(f"loading {bundle.manifest.name} and classifying the faces of {usage}")
    with quiet_libraries():
        classifier = open_classifier(bundle, backend=backend, deterministic=True)
    try:
        result = evaluate_faces(classifier.classify, faces, usage=usage, truth=labels)
        ran_on = classifier.backend
        by_condition = run_conditions(classifier.classify, result, most=condition_faces, seed=seed) if conditions else None
    finally:
        classifier.close()
    numbers = {
        "model": {"name": bundle.manifest.name, "version": bundle.manifest.version},
        "usage": usage,
        "truth": labels,
        "backend": ran_on,
        **result.as_json(),
        **_cost(bundle, timing=timing),
    }
    _print(result, numbers)
    if by_condition is not None:
        print_conditions(by_condition)
        numbers["conditions"] = [score.as_json() for score in by_condition]
    _write(result, numbers, json_file=json_file, plots=plots)
    if by_condition is not None and plots is not None:
        draw_conditions(by_condition, plots, title=_title(numbers))


def _write(result: Evaluation, numbers: dict[str, Any], *, json_file: Path | None, plots: Path | None) -> None:
    """Write the JSON and the pictures that were asked for."""
    import json

    from ferstream.cli.outputs import writing

    if json_file is not None:
        with writing(json_file):
            json_file.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
        typer.echo(f"numbers: {json_file}")
    if plots is not None:
        with writing(plots):
            _draw(result, plots, title=_title(numbers))


def _title(numbers: dict[str, Any]) -> str:
    model = numbers["model"]
    return f"{model['name']} {model['version']}, {numbers['usage']}, {numbers['truth']}"


def _check_usage(usage: str) -> None:
    from ferstream.errors import DataError
    from ferstream.training.data.dataset import USAGES

    if usage not in USAGES:
        raise DataError(f"--usage {usage!r} is unknown; choose one of {', '.join(USAGES)}")


def _cost(bundle: Bundle, *, timing: bool) -> dict[str, Any]:
    from ferstream.training.evaluation.timing import COST, COST_ON, cost

    recorded = bundle.manifest.metrics
    if timing or not isinstance(recorded.get(COST), dict):
        return {**cost(bundle), "ms_per_face_from": "this run"}
    return {COST: recorded[COST], COST_ON: recorded.get(COST_ON), "ms_per_face_from": "the bundle's manifest"}


def _print(result: Evaluation, numbers: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    name = f"{numbers['model']['name']} {numbers['model']['version']}"
    table = Table(title=f"{name} on {numbers['usage']}, labels: {numbers['truth']}")
    for column in ("class", "faces", "precision", "recall", "F1"):
        table.add_column(column, justify="left" if column == "class" else "right")
    for label, row in numbers["per_class"].items():
        table.add_row(label, str(row["rows"]), *(f"{100 * row[key]:.1f} %" for key in ("precision", "recall", "f1")))
    console = Console()
    console.print(table)
    console.print(_scores_line("all faces", result.scores), highlight=False, soft_wrap=True)
    console.print(_scores_line("not in Training", result.unseen), highlight=False, soft_wrap=True)
    for line in _all_rows_lines(numbers["all_rows"]):
        console.print(line, highlight=False, soft_wrap=True)
    console.print(_cost_line(numbers), highlight=False, soft_wrap=True)


def _scores_line(title: str, scores: Scores | None) -> str:
    if scores is None:
        return f"{title:>16}: no Training rows to compare with"
    values = scores.as_json()
    rates = f"accuracy {100 * values['accuracy']:.2f} %, balanced {100 * values['balanced_accuracy']:.2f} %"
    rest = f"macro F1 {values['macro_f1']:.4f}, loss {values['loss']:.4f}, ECE {values['ece']:.4f}"
    return f"{title:>16}: {values['rows']} faces, {rates}, {rest}"


def _all_rows_lines(values: dict[str, Any]) -> list[str]:
    """Return the lines about all faces of the split, with a majority and without."""
    rates = f"accuracy {100 * values['label_accuracy']:.2f} %, balanced {100 * values['label_balanced_accuracy']:.2f} %"
    lines = [f"{'original labels':>16}: {values['rows']} faces, {rates}"]
    if "vote_rows" in values:
        agreement = f"{100 * values['vote_agreement']:.2f} % of the votes agree, mean confidence {100 * values['vote_confidence']:.2f} %"
        lines.append(f"{'shares of votes':>16}: {values['vote_rows']} faces, {agreement}, ECE {values['vote_ece']:.4f}")
    lines.append(f"{'mirror images':>16}: {100 * values['mirror_consistency']:.2f} % get the same label")
    return lines


def _cost_line(numbers: dict[str, Any]) -> str:
    from ferstream.training.evaluation.timing import COST, COST_ON, measured_on

    cost = ", ".join(f"{backend} {value:.2f}" for backend, value in numbers[COST].items())
    measured_now = numbers["ms_per_face_from"] == "this run"
    where = "measured now" if measured_now else "as recorded in the bundle; --timing measures it here"
    return f"ms per face on one core: {cost} ({where}; {measured_on(numbers[COST_ON])})"


def _draw(result: Evaluation, folder: Path, *, title: str) -> None:
    from ferstream.training.evaluation import plots
    from ferstream.training.evaluation.calibration import reliability
    from ferstream.training.evaluation.error_gallery import draw_most_confused

    plots.draw_confusion_matrix(result.scores.confusion, folder / "confusion.png", title=title)
    plots.draw_reliability(reliability(result.probabilities, result.truth), folder / "reliability.png", title=title)
    votes = result.answers.vote_scores()
    if votes is not None:
        plots.draw_reliability(votes.bins, folder / "reliability-votes.png", title=f"{title}: all faces, shares of votes")
    draw_most_confused(result, folder / "most_confused.png", title=title)
    for picture in ("confusion.png", "reliability.png", *(["reliability-votes.png"] if votes is not None else []), "most_confused.png"):
        typer.echo(f"picture: {folder / picture}")
