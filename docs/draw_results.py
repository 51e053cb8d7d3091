"""Draw budget against held-out loss and accuracy, from experiments/compare/test.csv, into docs/results.svg.

`random` has a band, its mean ± one standard deviation over seeds; the line of the full pool is dashed.
"""

from pathlib import Path
from typing import Any

import pandas as pd
import vl_convert

DRAWN = ("random", "qocs", "qwcs", "full")


def main() -> None:
    table = pd.read_csv("experiments/compare/test.csv")
    table = table[table["method"].isin(DRAWN)]
    panels = [panel(table, measure, title) for measure, title in (("loss", "nats per token"), ("accuracy", "accuracy"))]
    specification = {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "config": {"background": "white", "font": "sans-serif"},
        "hconcat": panels,
    }
    Path("docs/results.svg").write_text(vl_convert.vegalite_to_svg(specification), encoding="utf-8")


def panel(table: pd.DataFrame, measure: str, title: str) -> dict[str, Any]:
    rows = table.assign(low=table[measure] - table[f"{measure}_std"], high=table[measure] + table[f"{measure}_std"])
    records = rows[["fraction", "method", measure, "low", "high"]].astype(object).where(rows.notna(), None).to_dict("records")
    x = {
        "field": "fraction",
        "type": "quantitative",
        "scale": {"type": "log"},
        "axis": {"format": "%"},
        "title": "share tuned on",
    }
    y = {"type": "quantitative", "scale": {"zero": False}, "title": title}
    colour = {"field": "method", "type": "nominal", "scale": {"domain": list(DRAWN)}, "title": None}
    band = {
        "transform": [{"filter": "datum.method == 'random'"}],
        "mark": {"type": "errorband", "opacity": 0.2},
        "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": colour},
    }
    lines = {
        "mark": {"type": "line", "point": True},
        "encoding": {"x": x, "y": {**y, "field": measure}, "color": colour},
    }
    full = {
        "transform": [{"filter": "datum.method == 'full'"}],
        "mark": {"type": "rule", "strokeDash": [4, 4]},
        "encoding": {"y": {**y, "field": measure}, "color": colour},
    }
    return {"data": {"values": records}, "layer": [band, full, lines], "width": 300, "height": 220, "title": f"test {title}"}


if __name__ == "__main__":
    main()
