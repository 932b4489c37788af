"""``ferstream import-model``: make a bundle from a network of another project."""

from __future__ import annotations

from pathlib import Path

import typer

from ferstream.cli.progress import say
from ferstream.runtime.program import command


def import_model(
    network: Path = typer.Argument(help="model.json (with --weights), .h5, .hdf5 or .keras, of Keras 1, 2 or 3. Pickles are refused."),
    name: str = typer.Option(..., "--name", help="Name of the new bundle, such as emotion-old."),
    labels: str = typer.Option(
        "angry,disgust,fear,happy,sad,surprise,neutral",
        "--labels",
        help="Labels of the network's outputs, in order, separated by commas.",
    ),
    weights: Path | None = typer.Option(
        None, "--weights", metavar="FILE", help="The file of the weights, .h5 or .weights.h5, where NETWORK is a model.json."
    ),
    value_range: str | None = typer.Option(
        None,
        "--range",
        help="Input values of its training: 0..255, 0..1 or -1..1. Default: 0..1, or 0..255 where the network scales its input itself.",
    ),
    version: str = typer.Option("1.0.0", "--version", help="Version of the new bundle."),
    out: Path = typer.Option(Path("models"), "--out", "-o", metavar="DIR", help="Folder of bundles; the new one is DIR/NAME/VERSION."),
    replace: bool = typer.Option(False, "--replace", help="Replace an existing bundle."),
) -> None:
    """Make a bundle from a network of another project. Label order, value range and size are adapted inside the model.

    Evaluate it before use with `ferstream evaluate --model DIR`: with a wrong label order or range it still gives seven probabilities.
    """
    directory = out / name / version
    _check(network, weights, directory=directory, name=name, version=version, replace=replace)
    from ferstream.training.evaluation.timing import cost
    from ferstream.training.export.bundle_writer import BundleTarget, save_bundle
    from ferstream.training.export.import_model import import_network
    from ferstream.training.quiet import quiet_libraries

    target = BundleTarget(directory=directory, name=name, version=version, replace=replace)
    say(f"reading {network}")
    with quiet_libraries():
        imported = import_network(network, weights=weights, labels=labels.split(","), value_range=value_range)
    recipe = {"imported_from": network.name, "labels": labels, "notes": list(imported.notes)}
    card = _card(name, version, network, imported.notes)
    say("converting it and measuring the cost of a face")
    with quiet_libraries():
        bundle = save_bundle(imported.served, target, recipe=recipe, card=card, measure=cost)
    for note in imported.notes:
        print(note)
    words = ("evaluate", "--model", str(bundle.directory.absolute()), "--data", "fer2013.csv", "--usage", "PublicTest")
    print(f"{bundle.directory}: written; check it with: {command(*words)}")


def _check(network: Path, weights: Path | None, *, directory: Path, name: str, version: str, replace: bool) -> None:
    """Check libraries, target and files before Keras is loaded, which takes seconds; then load it."""
    from ferstream.training.optional_deps import require

    require("keras", "tensorflow", command="ferstream import-model")
    from ferstream.inference.bundle import check_target
    from ferstream.training.keras_import import import_keras
    from ferstream.training.model_file import check_network

    check_target(directory=directory, name=name, version=version, replace=replace)
    check_network(network, weights)
    say("loading Keras")
    import_keras()


def _card(name: str, version: str, network: Path, notes: tuple[str, ...]) -> str:
    lines = "\n".join(f"- {note}" for note in notes)
    return f"# {name} {version}\n\nImported from `{network.name}`. Not evaluated, not calibrated by ferstream.\n\n{lines}\n"
