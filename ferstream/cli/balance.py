"""``ferstream balance``: make a model bundle from a network with two heads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from ferstream.training.data.dataset import FaceSet
    from ferstream.training.evaluation.balance_choice import Choice, Lowest, Point
    from ferstream.training.export.balanced import Heads
    from ferstream.training.two_heads import TwoHeadedNetwork

_BALANCE_HELP = (
    "The balance, such as labels=0.25,votes_prior=0.4,labels_prior=1,neutral=0.2; default: the one with the highest balanced "
    "accuracy on the original labels that keeps --min-accuracy and --min-balanced."
)


def balance(  # noqa: PLR0913, PLR0917 (the options of the command)
    network: str = typer.Argument(help="A .keras file with two heads, or name, name/version or folder of a bundle made from one."),
    data: Path = typer.Option(..., "--data", help="fer2013.csv or a folder that holds it, with FER+'s fer2013new.csv beside it."),
    name: str = typer.Option(..., "--name", help="Name of the new bundle, such as emotion-edge."),
    version: str = typer.Option("1.0.0", "--version", help="Version of the new bundle."),
    out: Path = typer.Option(Path("models"), "--out", "-o", metavar="DIR", help="Folder of bundles; the new one is DIR/NAME/VERSION."),
    given: str | None = typer.Option(None, "--balance", help=_BALANCE_HELP),
    min_accuracy: float = typer.Option(0.885, "--min-accuracy", min=0, max=1, help="Lowest accuracy on the FER+ majority."),
    min_balanced: float = typer.Option(0.82, "--min-balanced", min=0, max=1, help="Lowest balanced accuracy on the FER+ majority."),
    usage: str = typer.Option("PublicTest", "--usage", help="Split that chooses the balance and the temperature."),
    mirror: bool = typer.Option(False, "--mirror", help="Average each face with its mirror image inside the model, at twice the cost."),
    half: bool = typer.Option(False, "--float16", help="Store the weights of model.keras in float16."),
    replace: bool = typer.Option(False, "--replace", help="Replace a bundle that is there."),
) -> None:
    """Fold the two heads of a network into one layer, calibrate it, and write it as a bundle.

    One head was taught by FER+'s votes, the other by FER2013's labels. The balance says how much each counts, and how much of
    the frequency of the classes is taken out.
    """
    from ferstream.training.optional_deps import require

    require("keras", "tensorflow", command="ferstream balance")
    from ferstream.cli.progress import say
    from ferstream.inference.bundle import check_target
    from ferstream.training.keras_import import import_keras

    directory = out / name / version
    check_target(directory=directory, name=name, version=version, replace=replace)
    say("loading Keras")
    import_keras()
    from ferstream.training.bundle_heads import read_two_headed
    from ferstream.training.data.readers import read_faces
    from ferstream.training.evaluation.balance_choice import Lowest
    from ferstream.training.export.balanced import Served, head_logits, write_balanced
    from ferstream.training.export.bundle_writer import BundleTarget
    from ferstream.training.quiet import quiet_libraries

    say(f"reading {data}")
    faces = read_faces(data, want_votes=True)
    split = faces.of_usage(usage)
    say(f"loading {network} and classifying {len(split)} faces of {usage}")
    with quiet_libraries():
        two_headed = read_two_headed(network)
        logits = head_logits(two_headed, split, mirror=mirror)
    point, notes = _choice(two_headed, logits, split, given=given, lowest=Lowest(min_accuracy, min_balanced))
    notes |= _compared(two_headed, logits, split, point)
    served = Served(point.balance, mirror=mirror, half=half)
    target = BundleTarget(directory=directory, name=name, version=version, replace=replace)
    say("writing and measuring the bundle")
    with quiet_libraries():
        bundle = write_balanced(two_headed, served, target, faces=faces, usage=usage, logits=logits, notes=notes)
    print(f"{bundle.directory}: written, temperature {bundle.manifest.temperature:.3f}")


def _choice(network: TwoHeadedNetwork, logits: Heads, split: FaceSet, *, given: str | None, lowest: Lowest) -> tuple[Point, dict[str, Any]]:
    """Return the balance with its scores, and what the manifest says about the choice."""
    from ferstream.training.balance import Balance
    from ferstream.training.evaluation.balance_choice import choose, score_balance

    if given is not None:
        point = score_balance(Balance.parse(given), logits, network.about, split)
        print(f"balance {point.balance}: {_rates(point.rates)}")
        return point, {"how": "given", "scores": point.rates.as_json()}
    chosen: Choice = choose(logits, network.about, split, lowest)
    print(f"balance {chosen.point.balance}: {_rates(chosen.point.rates)}")
    print(f"chosen on each half of these faces, scored on the other half: {_rates(chosen.checked)}")
    return chosen.point, {
        "how": "highest balanced accuracy on the original labels that keeps the lowest scores on the FER+ majority",
        "lowest": {"accuracy": lowest.accuracy, "balanced": lowest.balanced},
        "scores": chosen.point.rates.as_json(),
        "on_other_halves": chosen.checked.as_json(),
    }


def _compared(network: TwoHeadedNetwork, logits: Heads, split: FaceSet, point: Point) -> dict[str, Any]:
    """Print the curves of the balance, and return them and the scores of each head alone for the manifest."""
    from ferstream.training.balance import Balance
    from ferstream.training.evaluation.balance_choice import CURVE, curves, curves_as_json, score_balance

    alone = {"votes_alone": Balance(), "labels_alone": Balance(votes=0.0, labels=1.0)}
    rates = {name: score_balance(balance, logits, network.about, split).rates for name, balance in alone.items()}
    for name, value in rates.items():
        print(f"{name.replace('_', ' ')}: {_rates(value)}")
    lines = curves(point.balance, logits, network.about, split)
    for name, points in lines.items():
        print(f"\nwith another {name}:")
        for setting, other in zip(CURVE, points, strict=True):
            mark = "  <" if setting == getattr(point.balance, name) else ""
            print(f"  {setting:3.1f}  {_rates(other.rates)}{mark}")
    return {"curves": curves_as_json(point.balance, lines), **{name: value.as_json() for name, value in rates.items()}}


def _rates(rates: Any) -> str:
    votes = f"FER+ majority {rates.accuracy:.2%}, balanced {rates.balanced:.2%}"
    return f"{votes}; original labels {rates.labels:.2%}, balanced {rates.labels_balanced:.2%}"
