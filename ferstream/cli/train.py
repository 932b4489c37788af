"""``ferstream train``: a model from labelled faces; ``ferstream train data``: what these faces are."""

from __future__ import annotations

import math
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from ferstream.training.data.augment import Augmentation
    from ferstream.training.fitting.history import EpochRecord
    from ferstream.training.fitting.recipe import Recipe

    OnStep = Callable[[int, int, int, float], None]
    OnEpoch = Callable[[EpochRecord], None]

_NAMED = 3
"""Unreadable files that are named."""

app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)

_DATA_HELP = "fer2013.csv, a folder that holds it, or a folder of images train/<class>/*.png."
_VOTES_HELP = "FER+'s fer2013new.csv; default: the one beside the csv. 'none' leaves it out."


@app.callback(invoke_without_command=True)
def train(  # noqa: PLR0917 - each parameter is an option
    ctx: typer.Context,
    data: Path | None = typer.Option(None, "--data", help=_DATA_HELP),
    votes: str | None = typer.Option(None, "--votes", help=_VOTES_HELP),
    arch: str = typer.Option("edge", "--arch", help="edge, sequential4, sequential3 or mobilenet."),
    out: Path = typer.Option(Path("runs/last"), "--out", help="Folder of the run; an interrupted run in it goes on."),
    bundle: Path | None = typer.Option(None, "--bundle", help="Where the finished model goes; default: bundle/ in the run's folder."),
    name: str | None = typer.Option(None, "--name", help="Name of the model; default: emotion-<arch>."),
    model_version: str = typer.Option("1.0.0", "--model-version", help="Version of the model."),
    replace: bool = typer.Option(False, "--replace", help="Replace a bundle that is there."),
    usage: str = typer.Option("PublicTest", "--validation", help="Split that chooses the best epoch and the temperature."),
    keep_faulty: bool = typer.Option(
        False, "--keep-faulty", help="Train on blank, broken and repeated faces too; never on faces that are also in a test split."
    ),
    rows: int = typer.Option(0, "--rows", min=0, help="Only the first rows of each split, for a quick try; 0 = all."),
    epochs: int | None = typer.Option(None, "--epochs", min=1),
    batch: int | None = typer.Option(None, "--batch", min=1),
    optimizer: str | None = typer.Option(None, "--optimizer", help="adam, adamw or sgd."),
    learning_rate: float | None = typer.Option(None, "--learning-rate", help="Peak rate."),
    weight_decay: float | None = typer.Option(None, "--weight-decay"),
    schedule: str | None = typer.Option(None, "--schedule", help="cosine (with warm-up), plateau or constant."),
    warmup_epochs: float | None = typer.Option(None, "--warmup-epochs"),
    average: float | None = typer.Option(None, "--average", help="Decay of the weight average a step; 0 = off."),
    label_weight: float | None = typer.Option(None, "--label-weight", help="Share of the original label beside FER+ votes, 0..1."),
    smoothing: float | None = typer.Option(None, "--smoothing", help="Label smoothing, 0..1."),
    mixup: float | None = typer.Option(None, "--mixup", help="Parameter of the Beta distribution; 0 = off."),
    class_weights: bool | None = typer.Option(None, "--class-weights/--no-class-weights", help="Weigh rare classes more."),
    patience_epochs: int | None = typer.Option(None, "--patience", help="Epochs without a better score before stopping; 0 = never."),
    precision: str | None = typer.Option(None, "--precision", help="float32, mixed_bfloat16 (faster on newer CPUs) or mixed_float16."),
    seed: int | None = typer.Option(None, "--seed"),
    frozen_epochs: int | None = typer.Option(None, "--frozen-epochs", help="Epochs before a pretrained base trains too."),
    fine_tune_scale: float | None = typer.Option(None, "--fine-tune-scale", help="Factor on the rate once the base trains too."),
    weights: str | None = typer.Option(None, "--weights", help="mobilenet: a local weights file, imagenet (downloads) or none."),
    init: str | None = typer.Option(None, "--init", help="A bundle of the same architecture to train further: name or folder."),
    teacher: str | None = typer.Option(None, "--teacher", help="A bundle whose answers are taught beside the votes: name or folder."),
    teacher_weight: float | None = typer.Option(None, "--teacher-weight", help="Share of the teacher's answers, 0..1."),
    dropout: float | None = typer.Option(None, "--dropout", help="Dropout of the architecture."),
    augment: bool = typer.Option(True, "--augment/--no-augment", help="All augmentation on or off."),
    flip: bool | None = typer.Option(None, "--flip/--no-flip"),
    rotate_deg: float | None = typer.Option(None, "--rotate", help="Degrees either way."),
    shift_px: float | None = typer.Option(None, "--shift", help="Pixels either way."),
    scale: float | None = typer.Option(None, "--scale", help="Share either way."),
    contrast: float | None = typer.Option(None, "--contrast", help="Share either way."),
    gamma: float | None = typer.Option(None, "--gamma", help="Doublings of the exponent either way."),
    erase: float | None = typer.Option(None, "--erase", help="Probability of a covered rectangle."),
    soften: float | None = typer.Option(None, "--soften", help="Probability of blur or fewer pixels."),
    noise: float | None = typer.Option(None, "--noise", help="Probability of grain."),
) -> None:
    """Train a model and write its bundle.

    Each architecture brings its own recipe; every option changes one part of it. Kill it whenever
    you like: the same command goes on after the last whole epoch.
    """
    if ctx.invoked_subcommand is not None:
        return
    if data is None:
        raise typer.BadParameter("say where the faces are", param_hint="--data")
    given = dict(ctx.params)
    recipe = _recipe(arch, given, _augmentation(augment=augment, given=given))
    _import_keras()
    from ferstream.training.fitting.session import Target, first_rows
    from ferstream.training.fitting.session import train as train_bundle

    faces = _read(data, votes)
    if rows:
        faces = first_rows(faces, rows)
    target = Target(
        directory=bundle or out / "bundle",
        name=name or f"emotion-{arch}",
        version=model_version,
        command=shlex.join(["ferstream", *sys.argv[1:]]),
        replace=replace or bundle is None,
    )
    _say_faults(faces, keep_faulty=keep_faulty)
    with _progress(recipe.epochs) as (on_step, on_epoch):
        made = train_bundle(
            faces,
            recipe=recipe,
            folder=out,
            target=target,
            usage=usage,
            keep_faulty=keep_faulty,
            on_step=on_step,
            on_epoch=on_epoch,
        )
    typer.echo(f"curves: {out / 'curves.png'}")
    typer.echo(f"bundle: {made.directory}  (try: ferstream replay VIDEO --model {made.directory})")


@app.command("data")
def data_report(
    path: Path = typer.Argument(help=_DATA_HELP),
    votes: str | None = typer.Option(None, "--votes", help=_VOTES_HELP),
    out: Path | None = typer.Option(None, "--out", help="Write classes.png, samples.png and report.json into this folder."),
) -> None:
    """Report what is in a set of faces: counts, copies across splits, blank and broken pictures."""
    import json

    from rich.console import Console

    from ferstream.training.evaluation.report import data_report as report_of
    from ferstream.training.evaluation.report import write_pictures
    from ferstream.training.export.outputs import check_folder, writing

    if out is not None:
        check_folder(out)
    faces = _read(path, votes)
    report = report_of(faces)
    Console().print(_class_table(report))
    _say_faults(faces)
    if out is not None:
        with writing(out):
            (out / "report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
            for picture in write_pictures(faces, out):
                typer.echo(f"picture: {picture}")


def _recipe(arch: str, given: dict[str, Any], augmentation: Augmentation | None) -> Recipe:
    from dataclasses import fields, replace

    from ferstream.errors import DataError
    from ferstream.training.fitting.recipe import RECIPES, Recipe

    if arch not in RECIPES:
        raise DataError(f"--arch {arch!r} is unknown; choose one of {', '.join(RECIPES)}")
    known = {field.name for field in fields(Recipe)} - {"arch"}
    changed = {key: value for key, value in given.items() if key in known and value is not None}
    options = {key: given[key] for key in ("weights", "dropout") if given[key] is not None}
    if options.get("weights") == "none" and given["frozen_epochs"] and not given["init"]:
        raise DataError("--frozen-epochs: with --weights none there is nothing pretrained to keep; leave one of them out")
    if "weights" in options and arch != "mobilenet":
        raise DataError(f"--weights is for --arch mobilenet; {arch} starts from nothing")
    return replace(RECIPES[arch], **changed, augmentation=augmentation, options=options)


def _augmentation(*, augment: bool, given: dict[str, Any]) -> Augmentation | None:
    from dataclasses import fields

    from ferstream.training.data.augment import Augmentation

    if not augment:
        return None
    known = {field.name for field in fields(Augmentation)}
    return Augmentation(**{key: value for key, value in given.items() if key in known and value is not None})


def _read(path: Path, votes: str | None) -> Any:
    from ferstream.training.data.readers import read_faces

    if votes == "none":
        return read_faces(path)
    return read_faces(path, votes=Path(votes) if votes else None, want_votes=True)


def _say_faults(faces: Any, *, keep_faulty: bool = False) -> None:
    from ferstream.training.evaluation.quality import inspect

    quality = inspect(faces)
    counts = quality.counts()
    training = faces.usages == "Training"
    left_out = int((~quality.kept(keep_faulty=keep_faulty) & training).sum())
    typer.echo(
        f"faults: {counts['blank']} blank, {counts['broken']} broken, {counts['repeated']} repeated in their split, "
        f"{counts['leaked']} Training faces also in a test split, {counts['seen']} test faces also in Training"
    )
    if faces.unreadable:
        more = f" and {len(faces.unreadable) - _NAMED} more" if len(faces.unreadable) > _NAMED else ""
        typer.echo(f"skipped, cannot be decoded: {', '.join(faces.unreadable[:_NAMED])}{more}")
    typer.echo(f"training uses {int(training.sum()) - left_out} of {int(training.sum())} faces; {left_out} are left out")


def _class_table(report: dict[str, Any]) -> Any:
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

    try:
        from ferstream.training.keras_import import import_keras

        import_keras()
    except ImportError as error:
        raise ModelError(f"training needs Keras and a backend ({error}); install ferstream[train]") from error


@contextmanager
def _progress(epochs: int) -> Iterator[tuple[OnStep, OnEpoch]]:
    """Show a bar for the epoch at hand, and leave a line for each finished one."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("epoch {task.fields[epoch]}"), BarColumn(), MofNCompleteColumn(), TextColumn("loss {task.fields[loss]:.3f}"))
    with Progress(*columns, TimeRemainingColumn(), transient=True) as bar:
        task = bar.add_task("training", total=None, epoch=f"1/{epochs}", loss=0.0)

        def on_step(epoch: int, done: int, steps: int, loss: float) -> None:
            now = f"{epoch + 1}/{epochs}" + (", asking the teacher" if math.isnan(loss) else "")
            bar.update(task, total=steps, completed=done, epoch=now, loss=loss)

        def on_epoch(record: EpochRecord) -> None:
            voted = record.val_majority_accuracy
            agreed = "" if voted is None else f", FER+ majority {100 * voted:.1f} %"
            bar.console.print(
                f"epoch {record.epoch}/{epochs}: loss {record.loss:.3f}, validation loss {record.val_loss:.3f}, "
                f"labels {100 * record.val_accuracy:.1f} %{agreed}, {record.seconds:.0f} s",
                highlight=False,
                soft_wrap=True,
            )

        yield on_step, on_epoch
