"""``ferstream train``: train a model on labelled faces. ``ferstream train data``: report on a set of faces."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ferstream.runtime.program import command

if TYPE_CHECKING:
    from rich.table import Table

    from ferstream.training.data.dataset import FaceSet
    from ferstream.training.data.quality import Quality
    from ferstream.training.data.selection import Selection
    from ferstream.training.fitting.recipe import Recipe

_MAX_NAMED = 3
"""Most unreadable files that are named."""

app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)

_DATA_HELP = "fer2013.csv, a folder that holds it, or a folder of images train/<class>/*.png."
_VOTES_HELP = "FER+'s fer2013new.csv; default: the one beside the csv. 'none' uses no votes."


@app.callback(invoke_without_command=True)
def train(  # noqa: PLR0913, PLR0917 (the options of the command)
    ctx: typer.Context,
    data: Path | None = typer.Option(None, "--data", help=_DATA_HELP),
    votes: str | None = typer.Option(None, "--votes", help=_VOTES_HELP),
    arch: str = typer.Option("edge", "--arch", "--architecture", help="edge, small, large, sequential4, sequential3 or mobilenet."),
    two_heads: bool = typer.Option(
        False, "--two-heads", help="Train two heads, FER+'s votes and the labels, on the device; for edge, small and large."
    ),
    out: Path = typer.Option(Path("runs/last"), "--out", help="Folder of the run. An interrupted run in it is resumed."),
    bundle: Path | None = typer.Option(None, "--bundle", help="Folder of the finished model; default: bundle/ in the run's folder."),
    name: str | None = typer.Option(None, "--name", help="Name of the model; default: emotion-<arch>."),
    model_version: str = typer.Option("1.0.0", "--model-version", help="Version of the model."),
    replace: bool = typer.Option(False, "--replace", help="Replace an existing bundle."),
    align: bool = typer.Option(False, "--align", help="The folder holds whole photos: find and align the largest face of each."),
    usage: str = typer.Option("PublicTest", "--validation", help="Split that selects the best epoch and the temperature."),
    keep_faulty: bool = typer.Option(
        False, "--keep-faulty", help="Train on blank, broken and repeated faces too, but never on faces that are also in a test split."
    ),
    rows: int = typer.Option(0, "--rows", min=0, help="Use only the first rows of each split, for a quick trial; 0 = all."),
    epochs: int | None = typer.Option(None, "--epochs", min=1, help="Passes over the training faces."),
    batch: int | None = typer.Option(None, "--batch", min=1, help="Faces in a step."),
    optimizer: str | None = typer.Option(None, "--optimizer", help="adam, adamw or sgd."),
    learning_rate: float | None = typer.Option(None, "--learning-rate", help="Highest learning rate of the run."),
    weight_decay: float | None = typer.Option(None, "--weight-decay", help="Weight decay of kernels; 0 = off."),
    schedule: str | None = typer.Option(None, "--schedule", help="cosine (with warm-up), plateau or constant."),
    warmup_epochs: float | None = typer.Option(None, "--warmup-epochs", help="Epochs of warm-up before the cosine."),
    average: float | None = typer.Option(None, "--average", help="Decay of the weight average per step, 0..1; 0 = off."),
    label_weight: float | None = typer.Option(None, "--label-weight", help="Weight of the original label beside FER+ votes, 0..1."),
    smoothing: float | None = typer.Option(None, "--smoothing", help="Label smoothing, 0..1."),
    mixup: float | None = typer.Option(None, "--mixup", help="Mixup: both parameters of the Beta distribution; 0 = off."),
    mixup_share: float | None = typer.Option(None, "--mixup-share", help="Two heads: share of the batches that are mixed, 0..1."),
    labels_loss: float | None = typer.Option(None, "--labels-loss", help="Two heads: weight of the labels' loss beside the votes'."),
    class_weights: bool | None = typer.Option(None, "--class-weights/--no-class-weights", help="Weigh rare classes more."),
    patience_epochs: int | None = typer.Option(None, "--patience", help="Epochs without a better score before stopping; 0 = never."),
    precision: str | None = typer.Option(None, "--precision", help="float32, mixed_bfloat16 (faster on newer CPUs) or mixed_float16."),
    seed: int | None = typer.Option(None, "--seed", help="Seed of weights, order and augmentation."),
    frozen_epochs: int | None = typer.Option(None, "--frozen-epochs", help="Epochs in which a pretrained base is not trained."),
    fine_tune_scale: float | None = typer.Option(None, "--fine-tune-scale", help="Factor on the learning rate after the frozen epochs."),
    weights: str | None = typer.Option(None, "--weights", help="mobilenet: a local weights file, imagenet (downloaded) or none."),
    init: str | None = typer.Option(None, "--init", help="Bundle of the same architecture to start from: name or folder."),
    teacher: list[str] | None = typer.Option(
        None,
        "--teacher",
        help="A bundle whose probabilities are blended into the targets; or, with two heads, .keras files or bundles of two heads that "
        "see the same varied faces: may be given several times.",
    ),
    teacher_temperature: float | None = typer.Option(
        None, "--teacher-temperature", help="Two heads: softens the answers compared; 1 = off."
    ),
    teacher_weight: float | None = typer.Option(None, "--teacher-weight", help="Weight of the teacher's probabilities, 0..1."),
    dropout: float | None = typer.Option(None, "--dropout", help="Dropout of the architecture, 0..1."),
    augment: bool = typer.Option(True, "--augment/--no-augment", help="Vary the training faces, or not."),
    flip: bool | None = typer.Option(None, "--flip/--no-flip", help="Mirror half of the faces."),
    rotate_deg: float | None = typer.Option(None, "--rotate", help="Largest rotation, in degrees."),
    shift_px: float | None = typer.Option(None, "--shift", help="Largest shift, in pixels of the 48x48 face."),
    scale: float | None = typer.Option(None, "--scale", help="Largest change of size, 0.1 = 10 %."),
    contrast: float | None = typer.Option(None, "--contrast", help="Largest change of contrast, 0.1 = 10 %."),
    gamma: float | None = typer.Option(None, "--gamma", help="Largest change of log2 of the gamma exponent."),
    erase: float | None = typer.Option(None, "--erase", help="Probability that a rectangle is covered, 0..1."),
    soften: float | None = typer.Option(None, "--soften", help="Probability of a blur or of fewer pixels, 0..1."),
    noise: float | None = typer.Option(None, "--noise", help="Probability of noise, 0..1."),
    landmark_px: float | None = typer.Option(None, "--landmark", help="Two heads: error of the landmarks, in pixels (standard deviation)."),
    shear: float | None = typer.Option(None, "--shear", help="Two heads: largest shear."),
    perspective: float | None = typer.Option(None, "--perspective", help="Two heads: largest change of size from the middle to an edge."),
    brightness: float | None = typer.Option(None, "--brightness", help="Two heads: largest change of brightness, in grey levels."),
    slope: float | None = typer.Option(None, "--slope", help="Two heads: largest change by light from one side, in grey levels."),
    motion_blur: float | None = typer.Option(None, "--motion-blur", help="Two heads: probability of a blur along a line."),
    motion_px: float | None = typer.Option(None, "--motion", help="Two heads: longest movement of that blur, in pixels."),
    mask: float | None = typer.Option(None, "--mask", help="Two heads: probability of a drawn face mask."),
    hand: float | None = typer.Option(None, "--hand", help="Two heads: probability of a drawn hand in front of the mouth."),
    glasses: float | None = typer.Option(None, "--glasses", help="Two heads: probability of drawn sunglasses."),
    lower_face: float | None = typer.Option(None, "--lower-face", help="Two heads: probability that the lower face is covered."),
) -> None:
    """Train a model and write its bundle; with two heads, write the file that 'ferstream balance' makes a bundle of.

    --data is required. Each architecture has a recipe of its own (docs/models.md); a setting that is not given has the value of
    the recipe. The run may be killed at any time: the same command resumes it after the last finished epoch.
    """
    if ctx.invoked_subcommand is not None:
        return
    if data is None:
        raise typer.BadParameter("say where the faces are", param_hint="--data")
    _train(dict(ctx.params))


@app.command("data")
def data_report(
    path: Path = typer.Argument(help=_DATA_HELP),
    votes: str | None = typer.Option(None, "--votes", help=_VOTES_HELP),
    out: Path | None = typer.Option(None, "--out", help="Write classes.png, samples.png and report.json into this folder."),
) -> None:
    """Report what a set of faces contains: counts, copies across splits, blank and broken pictures."""
    import json

    from rich.console import Console

    from ferstream.cli.outputs import check_folder, writing
    from ferstream.training.data.quality import inspect
    from ferstream.training.data.report import data_report as report_of
    from ferstream.training.data.report import write_pictures

    if out is not None:
        check_folder(out)
    faces = _read(path, votes)
    quality = inspect(faces)
    report = report_of(faces, quality)
    Console().print(_class_table(report))
    _print_faults(faces, quality)
    if out is not None:
        with writing(out):
            (out / "report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
            for picture in write_pictures(faces, out):
                typer.echo(f"picture: {picture}")


def _train(given: Mapping[str, Any]) -> None:
    """Run ``train`` with the given options: everything that can be refused is checked before Keras is imported."""
    from ferstream.cli.train_options import recipe_from
    from ferstream.training.data.head_targets import head_targets
    from ferstream.training.data.selection import check_batch
    from ferstream.training.optional_deps import require

    recipe = recipe_from(given["arch"], given)
    require("keras", command="ferstream train")
    selection = _select(given)
    _print_faults(selection.faces, selection.quality, keep_faulty=selection.keep_faulty)
    check_batch(selection.training, recipe.batch)
    if recipe.two_heads:
        head_targets(selection.training)  # refuses faces without votes
    typer.echo("loading Keras ...")
    _import_keras()
    run = _run_two_heads if recipe.two_heads else _run
    try:
        run(selection, recipe, given)
    except KeyboardInterrupt:
        from ferstream.training.fitting.fit import LAST

        kept = "goes on after the last finished epoch" if (given["out"] / LAST).exists() else "starts anew: no epoch was finished"
        typer.echo(f"interrupted; the same command {kept}", err=True)
        raise


def _select(given: Mapping[str, Any]) -> Selection:
    from ferstream.training.data.selection import first_rows, select

    faces = _read(given["data"], given["votes"], align=given["align"])
    if given["rows"]:
        faces = first_rows(faces, given["rows"])
    return select(faces, usage=given["usage"], keep_faulty=given["keep_faulty"])


def _run(selection: Selection, recipe: Recipe, given: Mapping[str, Any]) -> None:
    from ferstream.cli.train_progress import training_progress
    from ferstream.training.export.bundle_writer import BundleTarget
    from ferstream.training.session import train as train_bundle

    out: Path = given["out"]
    target = BundleTarget(
        directory=given["bundle"] or out / "bundle",
        name=given["name"] or f"emotion-{recipe.arch}",
        version=given["model_version"],
        replace=given["replace"] or given["bundle"] is None,
    )
    with training_progress(recipe.epochs) as progress:
        bundle = train_bundle(selection, recipe=recipe, folder=out, target=target, command=_command_line(), progress=progress)
    typer.echo(f"curves: {out / 'curves.png'}")
    typer.echo(f"bundle: {bundle.directory}  (try: {command('replay', 'VIDEO', '--model', str(bundle.directory))})")


def _run_two_heads(selection: Selection, recipe: Recipe, given: Mapping[str, Any]) -> None:
    from ferstream.cli.train_progress import training_progress
    from ferstream.training.session import train_two_heads

    out: Path = given["out"]
    with training_progress(recipe.epochs) as progress:
        path = train_two_heads(selection, recipe=recipe, folder=out, command=_command_line(), progress=progress)
    typer.echo(f"curves: {out / 'curves.png'}")
    words = ("balance", str(path), "--data", str(given["data"]), "--name", f"emotion-{recipe.arch}")
    typer.echo(f"network with two heads: {path}  (a bundle of it: {command(*words)})")


def _command_line() -> str:
    return shlex.join(["ferstream", *sys.argv[1:]])


def _read(path: Path, votes: str | None, *, align: bool = False) -> FaceSet:
    from ferstream.training.data.readers import read_faces

    typer.echo(f"reading {path} ...")
    if votes == "none":
        return read_faces(path, align=align)
    return read_faces(path, votes=Path(votes) if votes else None, want_votes=True, align=align)


def _print_faults(faces: FaceSet, quality: Quality, *, keep_faulty: bool = False) -> None:
    counts = quality.counts()
    training = faces.usages == "Training"
    left_out = int((~quality.kept(keep_faulty=keep_faulty) & training).sum())
    typer.echo(
        f"faults: {counts['blank']} blank, {counts['broken']} broken, {counts['repeated']} repeated in their split, "
        f"{counts['leaked']} Training faces also in a test split, {counts['seen']} test faces also in Training"
    )
    for line in faces.left_out():
        typer.echo(line)
    typer.echo(f"training uses {int(training.sum()) - left_out} of {int(training.sum())} faces; {left_out} are left out")


def _class_table(report: dict[str, Any]) -> Table:
    from rich.table import Table

    table = Table(title=f"{report['source']}: {report['rows']} faces")
    table.add_column("class")
    for usage in report["classes"]:
        table.add_column(usage, justify="right")
    classes = next(iter(report["classes"].values()))
    for label in classes:
        table.add_row(label, *(str(counts[label]) for counts in report["classes"].values()))
    table.add_row("all", *(str(sum(counts.values())) for counts in report["classes"].values()), style="bold")
    return table


def _import_keras() -> None:
    from ferstream.errors import ModelError
    from ferstream.training.keras_import import import_keras

    try:
        import_keras()
    except ImportError as error:
        raise ModelError(f"ferstream train: Keras cannot be imported: {error}; it needs TensorFlow, JAX or torch beside it") from error
