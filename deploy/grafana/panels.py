"""Builds Grafana panels as plain dictionaries; one function a kind of panel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
DATASOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}
COLOURS = {
    "angry": "#C4554D",
    "disgust": "#7C8B4A",
    "fear": "#7E6AA8",
    "happy": "#E0A93B",
    "sad": "#4F7CAC",
    "surprise": "#D98255",
    "neutral": "#9AA5A8",
    "unknown": "#C9CDCE",
}
"""One colour for each expression, the same on every panel."""


@dataclass(frozen=True, slots=True)
class Query:
    """An expression with the text of its legend; ``instant`` for the newest value alone."""

    expr: str
    legend: str = ""
    instant: bool = False
    format: str = "time_series"


@dataclass(frozen=True, slots=True)
class Size:
    """Width (of 24) and height in grid units."""

    width: int
    height: int = 8


def panel(kind: str, title: str, description: str, queries: Sequence[Query], size: Size, *, unit: str = "short", **options: Any) -> Json:
    """Any panel; ``options`` are its ``defaults``, ``custom``, ``overrides``, ``options`` and ``transformations``."""
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": DATASOURCE,
        "gridPos": {"w": size.width, "h": size.height},
        "targets": [_target(query, chr(ord("A") + i)) for i, query in enumerate(queries)],
        "fieldConfig": {
            "defaults": {"unit": unit, **options.get("defaults", {}), "custom": options.get("custom", {})},
            "overrides": options.get("overrides", []),
        },
        "options": options.get("options", {}),
        "transformations": options.get("transformations", []),
    }


def lines(title: str, description: str, queries: Sequence[Query], size: Size, *, unit: str = "short", **more: Any) -> Json:
    """Lines over time; ``stack=True`` piles them up, ``emotions=True`` colours them by expression."""
    stack, emotions = more.pop("stack", False), more.pop("emotions", False)
    custom = {
        "drawStyle": "line",
        "lineWidth": 1,
        "fillOpacity": 35 if stack else 8,
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"mode": "normal" if stack else "none"},
    }
    options = {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}}
    overrides = [_colour(label, colour) for label, colour in COLOURS.items()] if emotions else []
    defaults = {"min": 0, **more.pop("defaults", {})}
    return panel(
        "timeseries", title, description, queries, size, unit=unit, custom=custom, options=options, overrides=overrides, defaults=defaults
    )


def stat(
    title: str, description: str, query: Query, size: Size, *, unit: str = "short", steps: Sequence[tuple[float | None, str]] = ()
) -> Json:
    """One big number; ``steps`` are (from, colour), the first from None."""
    thresholds = {"mode": "absolute", "steps": [{"value": value, "color": colour} for value, colour in steps or ((None, "text"),)]}
    options = {"colorMode": "value", "graphMode": "area", "textMode": "value", "reduceOptions": {"calcs": ["lastNotNull"]}}
    return panel("stat", title, description, [query], size, unit=unit, defaults={"thresholds": thresholds}, options=options)


def heatmap(title: str, description: str, expr: str, size: Size, *, unit: str = "s") -> Json:
    """A histogram over time: one column a moment, one row a bucket."""
    options = {
        "calculate": False,
        "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64, "exponent": 0.5},
        "yAxis": {"unit": unit, "axisPlacement": "left"},
        "cellGap": 1,
        "tooltip": {"mode": "single", "yHistogram": True},
        "filterValues": {"le": 1e-9},
    }
    return panel("heatmap", title, description, [Query(expr, "{{le}}", format="heatmap")], size, unit=unit, options=options)


def timeline(title: str, description: str, queries: Sequence[Query], size: Size, *, good: str, bad: str) -> Json:
    """Bars of 1 (good) and 0 (bad) over time."""
    mapping = {"0": {"text": bad, "color": "red", "index": 0}, "1": {"text": good, "color": "green", "index": 1}}
    defaults = {"mappings": [{"type": "value", "options": mapping}], "color": {"mode": "thresholds"}}
    options = {"showValue": "never", "mergeValues": True, "rowHeight": 0.8, "legend": {"showLegend": False}}
    return panel("state-timeline", title, description, queries, size, defaults=defaults, custom={"fillOpacity": 70}, options=options)


def table(title: str, description: str, columns: Sequence[tuple[str, str, str]], size: Size, *, by: str) -> Json:
    """One row for each value of the label ``by``; columns are (heading, expression, unit), of the first only its labels are shown."""
    queries = [Query(expr, instant=True, format="table") for _, expr, _ in columns]
    letters = [chr(ord("A") + i) for i in range(len(columns))]
    overrides = [
        {
            "matcher": {"id": "byName", "options": f"Value #{letter}"},
            "properties": [{"id": "displayName", "value": heading}, {"id": "unit", "value": unit}],
        }
        for letter, (heading, _, unit) in zip(letters, columns, strict=True)
    ]
    to_node = {"title": "In depth", "url": f"/d/ferstream-node?var-{by}=${{__value.raw}}&${{__url_time_range}}"}
    overrides.append({"matcher": {"id": "byName", "options": by}, "properties": [{"id": "links", "value": [to_node]}]})
    transformations = [
        {"id": "joinByField", "options": {"byField": by, "mode": "outer"}},
        {"id": "filterFieldsByName", "options": {"include": {"pattern": f"^({by}|version|model|backend|Value #[B-Z])$"}}},
    ]
    return panel("table", title, description, queries, size, overrides=overrides, transformations=transformations)


def row(title: str) -> Json:
    """A heading."""
    return {"type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": {"w": 24, "h": 1}}


def variable(name: str, query: str, *, label: str, multi: bool = False) -> Json:
    """A choice filled from the labels of a metric."""
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "sort": 1,
        "multi": multi,
        "includeAll": multi,
        "allValue": ".*" if multi else None,
        "current": {"text": ["All"], "value": ["$__all"]} if multi else {},
    }


def dashboard(uid: str, title: str, description: str, variables: Sequence[Json], panels: Sequence[Json], links: Sequence[Json]) -> Json:
    """The whole page; places the panels from left to right."""
    source = {"name": "datasource", "label": "Source", "type": "datasource", "query": "prometheus", "current": {}}
    return {
        "uid": uid,
        "title": title,
        "description": description,
        "tags": ["ferstream"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "",
        "links": list(links),
        "templating": {"list": [source, *variables]},
        "annotations": {"list": [_restarts()]},
        "panels": _placed(panels),
    }


def _restarts() -> Json:
    return {
        "name": "Restarts",
        "datasource": DATASOURCE,
        "enable": True,
        "iconColor": "purple",
        "expr": 'changes(process_start_time_seconds{job="$job"}[1m]) > 0',
        "titleFormat": "{{instance}} restarted",
    }


def _target(query: Query, letter: str) -> Json:
    return {
        "refId": letter,
        "datasource": DATASOURCE,
        "expr": query.expr,
        "legendFormat": query.legend,
        "format": query.format,
        "instant": query.instant,
        "range": not query.instant,
    }


def _colour(name: str, colour: str) -> Json:
    return {"matcher": {"id": "byName", "options": name}, "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}]}


def _placed(panels: Sequence[Json]) -> list[Json]:
    placed, x, y, tallest = [], 0, 0, 0
    for number, item in enumerate(panels, start=1):
        width, height = item["gridPos"]["w"], item["gridPos"]["h"]
        if x + width > 24:
            x, y, tallest = 0, y + tallest, 0
        placed.append({"id": number, **item, "gridPos": {"x": x, "y": y, "w": width, "h": height}})
        x, tallest = x + width, max(tallest, height)
    return placed
