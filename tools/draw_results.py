"""Draw accuracy and losses against the share of the pool that is tuned on. Usage: python -m tools.draw_results

In: `experiments/compare/test.csv`, and the untuned model's accuracy. Out: `docs/results.svg`. Lines are means over seeds, and
both end at the whole pool; the band is one standard deviation of random rows between seeds, to either side.
"""

import json
from typing import Any

import pandas as pd
import vl_convert

from shed.common.import_closure import ROOT

TABLE, PICTURE = ROOT / "experiments/compare/test.csv", ROOT / "docs/results.svg"
NAMES = {"random": "random rows", "top": "top"}
COLOURS = {"random rows": "#8a8f98", "top": "#3b7dd8"}
BASE = ROOT / "metrics/base.json"


def main() -> None:
    table = pd.read_csv(TABLE)
    whole = table[table["method"] == "full"]
    parts = [table[table["method"] == method].assign(method=name) for method, name in NAMES.items()]
    points = pd.concat([*parts, *(whole.assign(method=name) for name in NAMES.values())], ignore_index=True)
    base = json.loads(BASE.read_text(encoding="utf-8"))
    drawn = vl_convert.vegalite_to_svg(
        {
            "hconcat": [
                panel(points, "accuracy", "test accuracy (higher is better)", base["test_accuracy"]),
                panel(points, "choice_loss", "test choice loss (lower is better)", None),
                panel(points, "loss", "test loss (lower is better)", None),
            ],
            "config": {"font": "sans-serif", "view": {"stroke": None}, "axis": {"gridOpacity": 0.4}},
            "background": "white",
            "padding": {"left": 5, "top": 5, "right": 20, "bottom": 5},
        }
    )
    PICTURE.write_text(drawn, encoding="utf-8")


def panel(points: pd.DataFrame, measure: str, title: str, base: float | None) -> dict[str, Any]:
    """One measure against the share of the pool.

    Args:
        base: the untuned model's value; None where it is too far off to be shown.
    """
    spread = points[f"{measure}_std"].fillna(0.0)
    rows = points.assign(low=points[measure] - spread, high=points[measure] + spread)
    columns = ["method", "fraction", measure, "low", "high"]
    shares = sorted(points["fraction"].unique())
    axis = {"values": shares, "format": "%", "title": "share of the pool that is tuned on"}
    x = {"field": "fraction", "type": "quantitative", "scale": {"type": "log", "nice": False}, "axis": axis}
    colour = {
        "field": "method",
        "type": "nominal",
        "title": None,
        "scale": {"domain": list(COLOURS), "range": list(COLOURS.values())},
    }
    y = {"type": "quantitative", "scale": {"zero": False}, "title": title}
    layers: list[dict[str, Any]] = [
        {
            "transform": [{"filter": "datum.method == 'random rows'"}],
            "mark": {"type": "area", "opacity": 0.25, "color": COLOURS["random rows"]},
            "encoding": {"x": x, "y": {"field": "low", **y}, "y2": {"field": "high"}},
        },
        {
            "mark": {"type": "line", "point": {"size": 50}, "strokeWidth": 2.5},
            "encoding": {"x": x, "y": {"field": measure, **y}, "color": colour},
        },
    ]
    if base is not None:
        untuned = {"data": {"values": [{"base": base, "text": "untuned"}]}}
        place = {"y": {"field": "base", "type": "quantitative"}}
        layers += [
            {**untuned, "mark": {"type": "rule", "strokeDash": [4, 4], "color": "#555"}, "encoding": place},
            {
                **untuned,
                "mark": {"type": "text", "align": "left", "dx": 4, "dy": -6, "x": 0, "color": "#555"},
                "encoding": {**place, "text": {"field": "text"}},
            },
        ]
    return {
        "data": {"values": json.loads(rows[columns].to_json(orient="records"))},
        "layer": layers,
        "width": 260,
        "height": 240,
    }


if __name__ == "__main__":
    main()
