"""The architecture for people: a Markdown table of the layers, and a picture of it with the skip connections.

``model.summary()`` and ``plot_model`` are not used: the first has no numbered rows to refer to, the second needs Graphviz
(docs/adr/0032-layer-table.md).
"""

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
    """One layer of a network.

    Attributes:
        name: Name of the layer.
        kind: Name of its class.
        shape: Output shape without the batch, such as ``48 x 48 x 32``.
        parameters: Number of weights.
        inputs: Numbers of the rows that it reads from.
    """

    name: str
    kind: str
    shape: str
    parameters: int
    inputs: tuple[int, ...]


def layer_rows(model: keras.Model) -> list[LayerRow]:
    """Return one row for each layer in topological order, with the layers of models inside the model."""
    rows: list[LayerRow] = []
    _collect(model, rows, ())
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
    """Draw the table as a PNG: one row for each layer, coloured by kind, and an arc for each connection that skips rows."""
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


def _collect(model: keras.Model, rows: list[LayerRow], inputs: tuple[int, ...]) -> int:
    """Append the rows of a model and of the models inside it.

    Args:
        model: Functional or Sequential.
        rows: Receives the rows.
        inputs: Rows that the model's inputs come from; empty for the outermost model.

    Returns:
        The number of the last row.
    """
    made_by: dict[str, int] = {}
    for operation, names in _operations(model):
        reads = tuple(made_by[name] for name in names)
        if isinstance(operation, keras.layers.InputLayer) and inputs:
            made_by[operation.name] = inputs[min(len(made_by), len(inputs) - 1)]
            continue
        if isinstance(operation, keras.Model):
            made_by[operation.name] = _collect(operation, rows, reads)
            continue
        rows.append(_row(operation, reads or inputs))
        made_by[operation.name] = len(rows) - 1
    return len(rows) - 1


def _operations(model: keras.Model) -> Iterator[tuple[Any, list[str]]]:
    """Yield each operation of a model, in topological order, with the names of the operations that it reads from."""
    if isinstance(model, keras.Sequential):
        before: list[str] = []
        for layer in model.layers:
            yield layer, before
            before = [layer.name]
        return
    by_name = {operation.name: operation for operation in model.operations}
    for config in model.get_config()["layers"]:
        yield by_name[config["name"]], list(dict.fromkeys(_sources(config["inbound_nodes"])))


def _sources(value: Any) -> Iterator[str]:
    """Yield the operation names of every ``keras_history`` in the configuration of an operation's calls."""
    if isinstance(value, dict):
        if "keras_history" in value:
            yield str(value["keras_history"][0])
        else:
            yield from _sources(list(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _sources(item)


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
