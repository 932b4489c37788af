"""The architecture for people: a table of layers, and the same table as a picture with the skip connections drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

_COLOURS = {
    "Conv": "#4c78a8",
    "Depthwise": "#72b7b2",
    "Separable": "#72b7b2",
    "Dense": "#f58518",
    "Pool": "#54a24b",
    "Batch": "#bab0ac",
    "Normalization": "#bab0ac",
    "Add": "#b279a2",
    "Multiply": "#b279a2",
    "Concat": "#b279a2",
    "Softmax": "#e45756",
}
_OTHER_COLOUR = "#d8d4cf"
_ROW_INCH = 0.2
_COLUMNS = (0.0, 0.35, 2.3, 4.35, 5.75)
_FAINT = "#555555"


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One layer.

    Attributes:
        name: Its name.
        kind: Its class.
        shape: Output without the batch, such as ``48 x 48 x 32``.
        parameters: Number of weights.
        inputs: Numbers of the rows it reads from.
    """

    name: str
    kind: str
    shape: str
    parameters: int
    inputs: tuple[int, ...]


def layer_rows(model: keras.Model) -> list[LayerRow]:
    """Return a row per layer in topological order, models inside the model laid open."""
    rows: list[LayerRow] = []
    _collect(model, rows, {})
    return rows


def write_layer_table(model: keras.Model, path: Path) -> Path:
    """Write the layers as a Markdown table."""
    rows = layer_rows(model)
    lines = ["| # | layer | kind | output | parameters | reads |", "|--:|---|---|---|--:|---|"]
    for number, row in enumerate(rows):
        reads = ", ".join(str(index) for index in row.inputs)
        lines.append(f"| {number} | {row.name} | {row.kind} | {row.shape} | {row.parameters:,} | {reads} |")
    total = sum(row.parameters for row in rows)
    path.write_text("\n".join([*lines, "", f"{len(rows)} layers, {total:,} parameters.", ""]), encoding="utf-8")
    return path


def draw_architecture(model: keras.Model, path: Path) -> Path:
    """Draw the table as a PNG: one row per layer, coloured by kind, an arc for each connection that skips rows."""
    from matplotlib.figure import Figure

    rows = layer_rows(model)
    figure = Figure(figsize=(8.2, _ROW_INCH * (len(rows) + 4)), dpi=110)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set_xlim(-1.2, 7.0)
    axes.set_ylim(len(rows) + 1.2, -2.6)
    total = sum(row.parameters for row in rows)
    axes.text(-0.14, -1.9, f"{len(rows)} layers, {total:,} parameters", fontsize=11, weight="bold", va="center")
    for x, title in zip(_COLUMNS, ("#", "layer", "kind", "output", "parameters"), strict=True):
        axes.text(x, -0.95, title, fontsize=8, color=_FAINT, va="center")
    for number, row in enumerate(rows):
        _draw_row(axes, number, row)
        _draw_skips(axes, number, row)
    figure.savefig(path)
    return path


def _collect(model: keras.Model, rows: list[LayerRow], numbers: dict[int, int]) -> int:
    """Append the rows of a model; ``numbers`` maps the identity of each tensor to the row that made it; returns the last row."""
    for operation in _graph(model).operations:
        inputs = tuple(numbers[id(tensor)] for tensor in _input_tensors(operation) if id(tensor) in numbers)
        if isinstance(operation, keras.Model):
            inner = dict(zip((id(tensor) for tensor in _graph(operation).inputs), inputs, strict=False))
            last = _collect(operation, rows, inner)
        elif isinstance(operation, keras.layers.InputLayer) and id(operation.output) in numbers:
            continue
        else:
            rows.append(_row(operation, inputs))
            last = len(rows) - 1
        for tensor in _output_tensors(operation):
            numbers[id(tensor)] = last
    return len(rows) - 1


def _graph(model: keras.Model) -> Any:
    """Return what holds the graph: a Sequential keeps it in a model of its own."""
    return model._functional if isinstance(model, keras.Sequential) else model


def _input_tensors(operation: Any) -> Iterator[Any]:
    for node in operation._inbound_nodes:
        yield from node.input_tensors


def _output_tensors(operation: Any) -> Iterator[Any]:
    for node in operation._inbound_nodes:
        yield from node.output_tensors


def _row(operation: Any, inputs: tuple[int, ...]) -> LayerRow:
    shape = " x ".join(str(size) for size in tuple(operation.output.shape)[1:])
    parameters = int(operation.count_params()) if isinstance(operation, keras.layers.Layer) else 0
    return LayerRow(name=str(operation.name), kind=type(operation).__name__, shape=shape, parameters=parameters, inputs=inputs)


def _draw_row(axes: Any, number: int, row: LayerRow) -> None:
    from matplotlib.patches import FancyBboxPatch

    box = FancyBboxPatch(
        (-0.14, number - 0.36), 0.34, 0.72, boxstyle="round,pad=0,rounding_size=0.1", linewidth=0, facecolor=_colour(row.kind)
    )
    axes.add_patch(box)
    texts = (str(number), row.name, row.kind, row.shape, f"{row.parameters:,}" if row.parameters else "")
    for x, text in zip(_COLUMNS, texts, strict=True):
        inside = x == _COLUMNS[0]
        axes.text(x + (0.03 if inside else 0), number, text, fontsize=6.5 if inside else 8, va="center", ha="center" if inside else "left")


def _draw_skips(axes: Any, number: int, row: LayerRow) -> None:
    from matplotlib.patches import FancyArrowPatch

    for source in row.inputs:
        if source < number - 1:
            bend = min(0.55, 0.9 / (number - source) ** 0.5)
            arrow = FancyArrowPatch(
                (-0.14, source),
                (-0.14, number),
                connectionstyle=f"arc3,rad={bend}",
                arrowstyle="-|>",
                mutation_scale=7,
                linewidth=0.9,
                color=_FAINT,
            )
            axes.add_patch(arrow)


def _colour(kind: str) -> str:
    return next((colour for part, colour in _COLOURS.items() if part in kind), _OTHER_COLOUR)
