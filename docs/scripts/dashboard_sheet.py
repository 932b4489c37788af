"""Draws every panel of the Grafana dashboards from the data of a Prometheus, so that they can be looked at without a Grafana.

    prometheus --config.file=...            # scrapes ferstream as job "ferstream"; see deploy/prometheus
    python docs/scripts/dashboard_sheet.py docs/images/dashboards.png --prometheus http://127.0.0.1:9090 --minutes 5

Places, titles, units, legends and colours are those of the dashboards; the drawing is ours, so it shows what a panel says and
not how Grafana draws it. A panel whose queries find nothing says so, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import re
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter
from PIL import Image

DASHBOARDS = Path(__file__).parents[2] / "deploy" / "grafana" / "dashboards"
COLUMNS, WIDTH_IN, ROW_IN, HEAD_IN = 24, 16.0, 0.235, 0.5
POINTS = 150
COLOURS_IN_FILE = 96
COLOURS = {"green": "#2e9e4f", "red": "#d64545", "orange": "#e0893b", "yellow": "#d9b23a", "blue": "#3b78c3", "text": "#555555"}
LEGEND_ROWS = 10
ROOM_FOR_LEGEND = 1.4
Series = tuple[dict[str, str], np.ndarray, np.ndarray]
Ask = Callable[[str], list[Series]]


@dataclass(frozen=True)
class Found:
    """The data of one query of a panel.

    Attributes:
        legend: How its series are named.
        series: Labels, times in seconds before now, values.
    """

    legend: str
    series: list[Series]


class Prometheus:
    """Asks a Prometheus for the minutes before a time."""

    def __init__(self, url: str, *, minutes: float, end: float) -> None:
        self._url, self._seconds, self._end = url.rstrip("/"), minutes * 60, end

    def __call__(self, expr: str) -> list[Series]:
        """Return the series of an expression."""
        end = self._end
        parameters = {"query": expr, "start": end - self._seconds, "end": end, "step": max(1.0, self._seconds / POINTS)}
        with urllib.request.urlopen(f"{self._url}/api/v1/query_range?{urllib.parse.urlencode(parameters)}", timeout=30) as answer:
            result = json.load(answer)["data"]["result"]
        return [(row["metric"], *_numbers(row["values"], end)) for row in result]


def _numbers(values: list[list[Any]], end: float) -> tuple[np.ndarray, np.ndarray]:
    both = np.array([(float(at) - end, float(value)) for at, value in values])
    return both[:, 0], both[:, 1]


def filled(expr: str, *, job: str, instance: str, window: str) -> str:
    """Return a query with its variables filled in."""
    values = {"$job": job, "$instance": instance, "$camera": ".*", "$__rate_interval": window, "$__range": window}
    return re.sub(r"\$\w+", lambda match: values[match.group()], expr).replace("[1h]", f"[{window}]")


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("out", type=Path)
    words.add_argument("--prometheus", default="http://127.0.0.1:9090")
    words.add_argument("--minutes", type=float, default=5.0)
    words.add_argument("--end", type=float, default=time.time(), help="Seconds since 1970; now by default.")
    words.add_argument("--job", default="ferstream")
    words.add_argument("--instance", default="", help="Of the node's page; the first one by default.")
    words.add_argument("--window", default="30s", help="In the place of $__rate_interval.")
    options = words.parse_args()
    ask = Prometheus(options.prometheus, minutes=options.minutes, end=options.end)
    instance = options.instance or min(labels["instance"] for labels, _, _ in ask(f'up{{job="{options.job}"}}'))
    empty = draw(options.out, pages(), lambda expr: ask(filled(expr, job=options.job, instance=instance, window=options.window)))
    for panel in empty:
        print(f"no data: {panel}", file=sys.stderr)
    sys.exit(1 if empty else 0)


def pages() -> list[dict[str, Any]]:
    """The dashboards."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(DASHBOARDS.glob("*.json"))]


def draw(out: Path, shown: list[dict[str, Any]], ask: Ask) -> list[str]:
    """Draw dashboards into one picture; return the panels without data."""
    heights = [max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in page["panels"]) * ROW_IN + HEAD_IN for page in shown]
    total = sum(heights)
    figure = plt.figure(figsize=(WIDTH_IN, total))
    empty: list[str] = []
    top = total
    for page, height in zip(shown, heights, strict=True):
        figure.text(0.008, (top - HEAD_IN * 0.6) / total, page["title"], fontsize=15, weight="bold")
        for panel in page["panels"]:
            box = _place(panel["gridPos"], top - HEAD_IN, total)
            if not _draw_panel(figure, box, panel, ask):
                empty.append(f"{page['title']}/{panel['title']}")
        top -= height
    figure.savefig(out, dpi=80)
    plt.close(figure)
    with Image.open(out) as picture:
        small = picture.convert("RGB").quantize(COLOURS_IN_FILE)
    small.save(out, optimize=True)
    return empty


def _place(grid: dict[str, int], top_in: float, total_in: float) -> tuple[float, float, float, float]:
    """Left, bottom, width and height of a panel, as shares of the figure."""
    bottom = (top_in - (grid["y"] + grid["h"]) * ROW_IN) / total_in
    return grid["x"] / COLUMNS, bottom, grid["w"] / COLUMNS, grid["h"] * ROW_IN / total_in


def _draw_panel(figure: Any, box: tuple[float, float, float, float], panel: dict[str, Any], ask: Ask) -> bool:
    left, bottom, width, height = box
    if panel["type"] == "row":
        figure.text(left + 0.008, bottom + height * 0.3, panel["title"].upper(), fontsize=9, color="#3b5b8c", weight="bold")
        return True
    head = 0.26 / figure.get_figheight()
    figure.text(left + 0.008, bottom + height - head * 0.75, panel["title"], fontsize=8.5, weight="bold")
    axis = figure.add_axes((left + 0.03, bottom + head * 1.15, width - 0.038, height - head * 2.3))
    axis.tick_params(labelsize=6, length=2)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    found = [Found(target.get("legendFormat", ""), ask(target["expr"])) for target in panel["targets"]]
    complete = all(query.series for query in found)
    if not any(query.series for query in found):
        axis.text(0.5, 0.5, "no data", ha="center", va="center", color=COLOURS["red"], fontsize=12, transform=axis.transAxes)
        axis.set_axis_off()
        return False
    DRAWN[panel["type"]](axis, panel, found)
    return complete


def _lines(found: list[Found]) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    for query in found:
        for labels, at, values in query.series:
            yield re.sub(r"{{(\w+)}}", lambda match, labels=labels: labels.get(match[1], ""), query.legend).strip(), at, values


def _timeseries(axis: Any, panel: dict[str, Any], found: list[Found]) -> None:
    custom = panel["fieldConfig"]["defaults"].get("custom", {})
    lines = sorted(_lines(found), key=lambda line: line[0])
    if custom.get("stacking", {}).get("mode") == "normal":
        _stack(axis, lines)
    else:
        for name, at, values in lines:
            axis.plot(at, values, linewidth=1.1, label=name or "value")
    _time_axis(axis, panel)
    highest = max((float(np.nanmax(line[2])) for line in lines if np.isfinite(line[2]).any()), default=0.0)
    top = (axis.get_ylim()[1] if highest else 1.0) * ROOM_FOR_LEGEND
    axis.set_ylim(-0.03 * top, top)
    axis.grid(axis="y", linewidth=0.3)
    if len(lines) <= LEGEND_ROWS:
        axis.legend(fontsize=5.5, loc="upper left", frameon=False, ncols=2 if len(lines) > 4 else 1, handlelength=1.2, columnspacing=0.8)


def _stack(axis: Any, lines: list[tuple[str, np.ndarray, np.ndarray]]) -> None:
    common = np.unique(np.concatenate([at for _, at, _ in lines]))
    rows = [np.interp(common, at, np.nan_to_num(values), left=0, right=0) for _, at, values in lines]
    axis.stackplot(common, rows, labels=[name for name, _, _ in lines], alpha=0.8)


def _state_timeline(axis: Any, panel: dict[str, Any], found: list[Found]) -> None:
    mapping = {
        float(value): (words.get("text", value), COLOURS.get(words.get("color", "text"), COLOURS["text"]))
        for part in panel["fieldConfig"]["defaults"].get("mappings", ())
        for value, words in part["options"].items()
    }
    lines = sorted(_lines(found), key=lambda line: line[0], reverse=True)
    for row, (_, at, values) in enumerate(lines):
        edges = [0, *(np.flatnonzero(np.diff(values)) + 1), len(values)]
        end = np.append(at, 0.0)
        for first, last in itertools.pairwise(edges):
            axis.barh(row, end[last] - at[first], left=at[first], height=0.7, color=_state(mapping, values[first])[1], linewidth=0)
        axis.text(at[-1], row, _state(mapping, values[-1])[0], ha="right", va="center", fontsize=7, color="white")
    axis.set_yticks([])
    for row, (name, _, _) in enumerate(lines):
        axis.text(0.005, row, name, va="center", fontsize=7, color="white", weight="bold", transform=axis.get_yaxis_transform())
    _time_axis(axis, None)


def _state(mapping: dict[float, tuple[str, str]], value: float) -> tuple[str, str]:
    """Text and colour of a value."""
    return mapping.get(value, (f"{value:g}", COLOURS["text"]))


def _heatmap(axis: Any, panel: dict[str, Any], found: list[Found]) -> None:
    series = sorted(((float(labels["le"]), at, values) for labels, at, values in found[0].series), key=lambda one: one[0])
    common = np.unique(np.concatenate([at for _, at, _ in series]))
    cumulative = np.array([np.interp(common, at, np.nan_to_num(values)) for _, at, values in series])
    counts = np.diff(cumulative, axis=0, prepend=0.0).clip(0)
    axis.pcolormesh(common, np.arange(len(series) + 1), np.vstack([counts]), cmap="Oranges", shading="auto") if len(common) == 1 else (
        axis.pcolormesh(np.append(common, 2 * common[-1] - common[-2]), np.arange(len(series) + 1), counts, cmap="Oranges")
    )
    every = max(1, len(series) // 5)
    axis.set_yticks(np.arange(1, len(series) + 1)[::every], [amount(le, "s") for le, _, _ in series][::every])
    _time_axis(axis, None)


def _stat(axis: Any, panel: dict[str, Any], found: list[Found]) -> None:
    _, at, values = next(_lines(found))
    axis.fill_between(at, values, color=COLOURS["blue"], alpha=0.15, linewidth=0)
    axis.set_ylim(0, max(1.0, float(np.nanmax(values)) * 3))
    axis.text(0.5, 0.5, amount(values[-1], _unit(panel)), ha="center", va="center", fontsize=20, transform=axis.transAxes)
    axis.set_axis_off()


def _table(axis: Any, panel: dict[str, Any], found: list[Found]) -> None:
    axis.set_axis_off()
    columns = _columns(panel)
    rows: dict[str, dict[str, str]] = {}
    for target, query in zip(panel["targets"], found, strict=True):
        name, unit = columns.get(f"Value #{target['refId']}", ("", "short"))
        for labels, _, values in query.series:
            row = rows.setdefault(labels["instance"], {"instance": labels["instance"]})
            row |= {name: amount(values[-1], unit)} if name else {key: labels.get(key, "") for key in ("version", "model", "backend")}
    heads = list(dict.fromkeys(head for row in rows.values() for head in row))
    cells = [[row.get(head, "") for head in heads] for _, row in sorted(rows.items())]
    made = axis.table(cellText=cells, colLabels=heads, loc="upper center", cellLoc="left", colLoc="left", edges="horizontal")
    made.auto_set_font_size(False)
    made.set_fontsize(8)
    made.scale(1, 1.4)


def _columns(panel: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Name and unit of the columns, by their names in Grafana."""
    found = {}
    for override in panel["fieldConfig"]["overrides"]:
        values = {part["id"]: part["value"] for part in override["properties"]}
        if "displayName" in values:
            found[override["matcher"]["options"]] = (values["displayName"], values.get("unit", "short"))
    return found


def _unit(panel: dict[str, Any]) -> str:
    return str(panel["fieldConfig"]["defaults"]["unit"])


def _time_axis(axis: Any, panel: dict[str, Any] | None) -> None:
    left = min(-60.0, axis.get_xlim()[0])
    axis.set_xlim(left, 0)
    step = max(1, round(-left / 60 / 4))
    axis.set_xticks([-60 * step * number for number in range(int(-left / 60 / step) + 1)])
    axis.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: f"{seconds / 60:g} min" if seconds else "now"))
    if panel is not None:
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: amount(value, _unit(panel))))


def amount(value: float, unit: str) -> str:
    """A number with its unit, as Grafana writes it."""
    if not math.isfinite(value):
        return "+Inf"
    if unit == "s" and 0 < abs(value) < 1:
        return f"{value * 1000:.3g} ms" if abs(value) >= 0.001 else f"{value * 1e6:.3g} µs"
    if unit == "bytes" and abs(value) >= 1 << 20:
        return f"{value / (1 << 20):.4g} MiB"
    if unit == "percentunit":
        return f"{100 * value:.3g} %"
    return f"{value:.4g}" + {"s": " s", "ops": "/s", "bytes": " B"}.get(unit, "")


DRAWN: dict[str, Callable[[Any, dict[str, Any], list[Found]], None]] = {
    "timeseries": _timeseries,
    "state-timeline": _state_timeline,
    "heatmap": _heatmap,
    "stat": _stat,
    "table": _table,
}
"""How each type of panel is drawn."""

if __name__ == "__main__":
    main()
