"""The card of a bundle, ``CARD.md`` with its pictures: written from the manifest and from an evaluation of the served files.

What people wrote, from the heading ``## Limits`` on, is kept when a card is written again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ferstream.domain.emotion import LABELS
from ferstream.inference.bundle import CARD, Bundle
from ferstream.inference.manifest import Manifest
from ferstream.training.evaluation.answers import Answers
from ferstream.training.evaluation.evaluate import Evaluation
from ferstream.training.evaluation.plots import draw_balance_curves, draw_confusion_matrix, draw_reliability
from ferstream.training.evaluation.timing import COST, COST_ON, measured_on

LIMITS = "## Limits"
"""Heading of the part that people write."""
QUANTISED = "quantised_from"
"""Key in the recipe of a model in 8 bits."""
CONFUSION, RELIABILITY, CURVES = "confusion.png", "reliability.png", "balance.png"

_USE = """\
Says which of seven expressions a face in a grey 48x48 crop resembles: angry, disgust, fear, happy, sad, surprise, neutral. It describes
a picture of a face, not what a person feels.

## Intended use

Counting and following expressions of faces in video on one machine, with the crop geometry `{alignment}` that ferstream cuts. Not
for judging, ranking or identifying people, not for work places or schools (prohibited in the EU by Art. 5(1)(f) of the AI Act
but for medical and safety reasons), and not for medical conclusions.
"""
_LICENCE = """\
**Licence.** FER2013's photos come from a web search and are shared for research; FER+'s votes are MIT-licensed. The weights are derived
from them: settle for your own case whether that allows your use. No picture of FER2013 is in this repository.
"""
_FORMULA = """\
The network has two heads on the same features: A, taught by FER+'s votes, and B, taught by FER2013's own labels. The served
logits are `a (A - s log p) + b (B - t log q) + offsets`, where p and q are the shares of the classes among the training targets
of the heads (logit adjustment, Menon et al. 2021). The sum is one Dense layer and costs nothing.
"""


@dataclass(frozen=True, slots=True)
class Stability:
    """Label changes per 100 frames of a face whose expression is steady.

    Attributes:
        each_frame: Changes of the label of each frame alone.
        smoothed: Changes of the smoothed label.
    """

    each_frame: float
    smoothed: float


@dataclass(frozen=True, slots=True)
class Measured:
    """The evaluations that a card prints, of the same answers.

    Attributes:
        usage: The split.
        majority: Scores on the FER+ majority.
        labels: Scores on the original labels.
        answers: The answers to all faces of the split.
        stability: How often labels of steady faces change in clips; None where it was not measured.
    """

    usage: str
    majority: Evaluation
    labels: Evaluation
    answers: Answers
    stability: Stability | None = None


def write_card(bundle: Bundle, measured: Measured) -> list[Path]:
    """Write ``CARD.md`` and its pictures into the folder of a bundle; return the files. A model in 8 bits gets no pictures.

    Raises:
        OSError: A file cannot be written.
    """
    pictures = [] if QUANTISED in bundle.manifest.recipe else list(_draw(bundle, measured))
    path = bundle.directory / CARD
    limits = _limits(path)
    path.write_text("\n".join([*_sections(bundle.manifest, measured), limits]).rstrip() + "\n", encoding="utf-8")
    return [path, *pictures]


def _draw(bundle: Bundle, measured: Measured) -> Iterator[Path]:
    """Draw the pictures of a card; yield their files."""
    folder, title = bundle.directory, f"{bundle.manifest.name} {bundle.manifest.version}, {measured.usage}"
    draw_confusion_matrix(measured.majority.scores.confusion, folder / CONFUSION, title=f"{title}, FER+ majority")
    yield folder / CONFUSION
    votes = measured.answers.vote_scores()
    if votes is not None:
        draw_reliability(votes.bins, folder / RELIABILITY, title=f"{title}: all faces, shares of votes")
        yield folder / RELIABILITY
    if _curves(bundle.manifest):
        draw_balance_curves(_curves(bundle.manifest), folder / CURVES, title=f"{title}: what the balance trades")
        yield folder / CURVES


def _limits(path: Path) -> str:
    """Return what people wrote about the limits of the model."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    _, heading, rest = text.partition(LIMITS)
    return heading + rest if heading else f"{LIMITS}\n\nNot described yet.\n"


def _sections(manifest: Manifest, measured: Measured) -> Iterator[str]:
    yield f"# {manifest.name} {manifest.version}\n"
    yield _USE.format(alignment=manifest.alignment)
    yield from _recipe(manifest)
    yield from _balance(manifest)
    yield from _numbers(manifest, measured)
    yield from _stability(measured.stability)
    yield from _cost(manifest)


def _recipe(manifest: Manifest) -> Iterator[str]:
    recipe = manifest.recipe
    yield "## Recipe\n"
    if QUANTISED in recipe:
        faces = recipe.get("calibration_faces")
        yield (
            f"`{recipe[QUANTISED]}` in 8 bits: quantised after training by NNCF on {faces} Training faces; what comes before "
            "the features stays in floating point. Recipe, balance, use and terms are those of that model.\n"
        )
    else:
        training = recipe.get("training", {})
        yield f"Architecture `{recipe.get('arch')}`" + (
            ", each face averaged with its mirror image." if recipe.get("mirror_average") else "."
        )
        yield "\n" + "\n".join(_items(training)) + "\n"
        if "stored_weights" in recipe:
            yield f"`model.keras` stores its weights in {recipe['stored_weights']} and computes in float32.\n"
    yield _LICENCE


def _balance(manifest: Manifest) -> Iterator[str]:
    balance, choice = manifest.recipe.get("balance"), manifest.recipe.get("choice", {})
    if not balance:
        return
    offsets = ", ".join(f"{label} {value:+g}" for label, value in balance["offsets"].items()) or "none"
    yield f"## Balance\n\n{_FORMULA}"
    yield (
        f"Here a = {balance['votes']:g}, b = {balance['labels']:g}, s = {balance['votes_prior']:g}, t = {balance['labels_prior']:g}, "
        f"offsets: {offsets}. "
        + (f"Chosen as: {choice['how']}." if choice.get("how") != "given" else "Given by hand.")
        + " The rows that chose it are those of the numbers below.\n"
    )
    yield from _choice_table(choice)
    if choice.get("curves"):
        yield f"![Accuracy and balanced accuracy over the parameters]({CURVES})\n"


def _choice_table(choice: Mapping[str, Any]) -> Iterator[str]:
    names = {
        "scores": "this balance",
        "on_other_halves": "chosen on one half of the faces, scored on the other (mean of both)",
        "votes_alone": "head A alone",
        "labels_alone": "head B alone",
    }
    rows = {text: choice[name] for name, text in names.items() if choice.get(name)}
    if rows:
        yield "| float32 | FER+ majority, accuracy / balanced | original labels, accuracy / balanced |\n|---|---|---|"
    for text, rates in rows.items():
        votes, labels = ((rates["accuracy"], rates["balanced"]), (rates["labels"], rates["labels_balanced"]))
        yield f"| {text} | {_both(*votes)} | {_both(*labels)} |"
    yield ""


def _numbers(manifest: Manifest, measured: Measured) -> Iterator[str]:
    majority, labels = measured.majority.as_json(), measured.labels.as_json()
    yield "## Numbers\n"
    without, rows = majority["rows_without_majority"], len(measured.answers.faces)
    yield (
        f"{measured.usage}, the bundle as served by OpenVINO, printed by `ferstream evaluate` and written here by `ferstream card`. A "
        f"FER+ majority is a class that more than half of the ten voters chose; {without} of {rows} rows have none of the seven.\n"
    )
    yield f"| | FER+ majority ({majority['rows']} faces) | original label ({labels['rows']} faces) |\n|---|---|---|"
    for name, key in (("accuracy", "accuracy"), ("balanced accuracy", "balanced_accuracy")):
        yield f"| {name} | {_percent(majority[key])} | {_percent(labels[key])} |"
        yield f"| {name}, without faces also in Training | {_percent(majority[key + '_dedup'])} | {_percent(labels[key + '_dedup'])} |"
    for name, key in (("macro F1", "macro_f1"), ("log loss", "loss"), ("expected calibration error", "ece")):
        yield f"| {name} | {majority[key]:.3f} | {labels[key]:.3f} |"
    yield ""
    yield from _all_rows(manifest, measured)
    yield from _classes(majority, labels)
    if QUANTISED not in manifest.recipe:
        yield f"![Confusion]({CONFUSION})\n"


def _all_rows(manifest: Manifest, measured: Measured) -> Iterator[str]:
    numbers, votes = measured.answers.as_json(), measured.answers.vote_scores()
    yield f"**Mirror images** get the same label for {_percent(numbers['mirror_consistency'])} of all faces.\n"
    if votes is None:
        return
    yield (
        f"**Confidence.** Logits are divided by {manifest.temperature:.3f}, inside the model. The temperature is fitted to the shares of "
        "the votes of all rows, then lowered only as far as the calibration error on the faces with a majority asks for. "
        f"Against the shares of the votes of {votes.rows} faces, clear or not, the calibration error is {votes.bins.error:.3f}: mean "
        f"confidence {_percent(votes.confidence)}, and {_percent(votes.agreement)} of the votes agree with the answer.\n"
    )
    if QUANTISED not in manifest.recipe:
        yield f"![Confidence against the share of the votes that agree]({RELIABILITY})\n"


def _classes(majority: Mapping[str, Any], labels: Mapping[str, Any]) -> Iterator[str]:
    yield "| class | FER+ faces | precision | recall | original faces | precision | recall |\n|---|--:|--:|--:|--:|--:|--:|"
    for label in LABELS:
        one, two = majority["per_class"][label], labels["per_class"][label]
        cells = [cell for row in (one, two) for cell in (str(row["rows"]), _percent(row["precision"]), _percent(row["recall"]))]
        yield f"| {label} | {' | '.join(cells)} |"
    yield ""


def _stability(stability: Stability | None) -> Iterator[str]:
    if stability is not None:
        yield "## Stability\n"
        yield (
            f"Label changes per 100 frames of a face whose expression is steady, in hand-labelled clips (`bench/smoothing.py`): "
            f"{stability.each_frame:.2f} for each frame alone, {stability.smoothed:.2f} smoothed.\n"
        )


def _cost(manifest: Manifest) -> Iterator[str]:
    cost = manifest.metrics.get(COST)
    if isinstance(cost, dict):
        yield "## Cost\n"
        each = ", ".join(f"{backend} {value:.2f} ms" for backend, value in cost.items())
        yield f"CPU time a face on one core, one crop at a time: {each} ({measured_on(manifest.metrics.get(COST_ON))}).\n"


def _curves(manifest: Manifest) -> dict[str, Any]:
    curves = manifest.recipe.get("choice", {}).get("curves", {})
    return curves if isinstance(curves, dict) else {}


def _both(first: float, second: float) -> str:
    return f"{100 * first:.1f} / {100 * second:.1f} %"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f} %"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _items(values: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    """Yield the lines of a list, with lists inside for nested objects."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield f"{indent}- {_words(name)}:"
            yield from _items(value, indent + "  ")
        else:
            yield f"{indent}- {_words(name)}: {value}"
