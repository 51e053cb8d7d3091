"""The report's pictures, as SVG text in the page's text colour, for light and dark.

In: tables. Out: SVG elements, drawn by Vega-Lite without a browser; their description is what a screen reader says.
"""

import json
import re
from collections.abc import Sequence
from html import escape
from typing import Any

import pandas as pd

from shed.report.shown import labels, writable

INK = "currentColor"
CONFIG = {
    "background": None,
    "font": "sans-serif",
    "view": {"stroke": None},
    "aria": False,
    "axis": {
        **{f"{part}Color": INK for part in ("label", "title", "domain", "tick", "grid")},
        "gridOpacity": 0.15,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
    },
    "legend": {"labelColor": INK, "titleColor": INK, "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal"},
}
BLUE, ORANGE = "#3b7dd8", "#e07b39"


def pool_map(points: pd.DataFrame) -> str:
    """Pool records in two dimensions: `x`, `y`, `score` as colour, `selected` ringed."""
    selected = int(points["selected"].sum())
    place = {
        "x": {"field": "x", "type": "quantitative", "axis": None, "scale": {"zero": False, "nice": False}},
        "y": {"field": "y", "type": "quantitative", "axis": None, "scale": {"zero": False, "nice": False}},
        "color": {"field": "score", "type": "quantitative", "scale": {"scheme": "viridis"}, "title": "score"},
    }
    layers = [
        {
            "transform": [{"filter": "!datum.selected"}],
            "mark": {"type": "circle", "size": 14, "opacity": 0.75},
            "encoding": place,
        },
        {
            "transform": [{"filter": "datum.selected"}],
            "mark": {"type": "circle", "size": 30, "stroke": INK, "strokeWidth": 1.2, "opacity": 1},
            "encoding": place,
        },
    ]
    about = f"Map of {len(points)} pool records by meaning, coloured by their cluster's score; {selected} selected are ringed."
    return _svg(points[["x", "y", "score", "selected"]].round(3), {"layer": layers, "width": 620, "height": 460}, about)


def composition(shares: pd.DataFrame) -> str:
    """Each source's share of pool and selection: `source`, `of` (pool or selection), `share`."""
    shares = _labelled(shares, "source")
    spec = {
        "mark": {"type": "bar"},
        "encoding": {
            "y": {"field": "source", "type": "nominal", "title": None},
            "yOffset": {"field": "of", "sort": ["pool", "selection"]},
            "x": {"field": "share", "type": "quantitative", "axis": {"format": "%"}, "title": "share of the rows"},
            "color": {
                "field": "of",
                "type": "nominal",
                "title": None,
                "scale": {"domain": ["pool", "selection"], "range": ["#8a8f98", BLUE]},
            },
        },
        "width": 420,
        "height": {"step": 16},
    }
    said = "; ".join(f"{row.source} {row.of} {row.share:.0%}" for row in shares.itertuples())
    return _svg(shares, spec, f"Share of each source: {said}.")


def line(table: pd.DataFrame, x: str, y: str, titles: tuple[str, str], about: str) -> str:
    """One line with its points."""
    spec = {
        "mark": {"type": "line", "point": {"color": BLUE, "size": 18}, "color": BLUE},
        "encoding": {
            "x": {"field": x, "type": "quantitative", "title": titles[0]},
            "y": {"field": y, "type": "quantitative", "title": titles[1], "scale": {"zero": False}},
        },
        "width": 420,
        "height": 220,
    }
    return _svg(table[[x, y]], spec, about)


def against(table: pd.DataFrame, about: str) -> str:
    """Predicted against measured utilities."""
    spec = {
        "mark": {"type": "point", "filled": True, "color": ORANGE, "size": 50},
        "encoding": {
            "x": {"field": "predicted", "type": "quantitative", "scale": {"zero": False}, "title": "predicted utility"},
            "y": {"field": "measured", "type": "quantitative", "scale": {"zero": False}, "title": "measured utility"},
        },
        "width": 300,
        "height": 220,
    }
    return _svg(table, spec, about)


def intervals(table: pd.DataFrame, value: str, low: str, high: str, label: str, title: str, about: str) -> str:
    """A point with its interval for each label, and a line at 0."""
    y = {"field": label, "type": "nominal", "title": None, "sort": None}
    layers: Sequence[dict[str, Any]] = [
        {"mark": {"type": "rule", "color": INK, "opacity": 0.4}, "encoding": {"x": {"datum": 0}}},
        {
            "mark": {"type": "rule", "color": BLUE, "strokeWidth": 2},
            "encoding": {
                "y": y,
                "x": {"field": low, "type": "quantitative", "title": title, "axis": {"tickCount": 6}},
                "x2": {"field": high},
            },
        },
        {
            "mark": {"type": "point", "filled": True, "color": BLUE, "size": 60},
            "encoding": {"y": y, "x": {"field": value, "type": "quantitative"}},
        },
    ]
    return _svg(
        _labelled(table[[label, value, low, high]], label), {"layer": layers, "width": 420, "height": {"step": 22}}, about
    )


def _labelled(table: pd.DataFrame, column: str) -> pd.DataFrame:
    return table.assign(**{column: table[column].map(labels(table[column]))})


def _svg(table: pd.DataFrame, spec: dict[str, Any], about: str) -> str:
    import vl_convert

    values = json.loads(table.to_json(orient="records"))
    drawn = vl_convert.vegalite_to_svg({**spec, "data": {"values": values}, "config": CONFIG})
    drawn = re.sub(r' (xmlns:xlink|xlink:href|class)="[^"]*"', "", drawn)
    return drawn.replace("<svg ", f'<svg role="img" aria-label="{escape(writable(about), quote=True)}" ', 1)
