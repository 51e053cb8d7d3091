"""Whatever texts and names a run holds, its last stage makes a page: whole, escaped, valid UTF-8, with pictures that are XML."""

import re
from dataclasses import replace
from itertools import cycle
from xml.etree import ElementTree

import pandas as pd
from report_inputs import inputs

from shed.data.records import single_turn
from shed.report import charts
from shed.report.page import render
from shed.report.shown import labels

NAMES = {
    "NUL": "a\0b",
    "control characters": "a\x01\x1b[31m\x07",
    "no characters of Unicode": "a\ufffe\uffff",
    "right to left": "a\u202eb\u2067",
    "markup": "</svg></title><script>document.title = 'taken over'</script>&\"'",
    "long": "x" * 100_000,
    "emoji": "😀 👩‍👩‍👧 \U000e0001",
    "marks": "a" + "\u0301" * 1000,
    "lines": "a\nb\r\u2028c",
    "code": "{{ 7 * 7 }} {% raw %} datum.x __proto__",
    "empty": "",
}
UNWRITTEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def test_a_page_is_made_whatever_sources_tasks_licences_and_params_are_called() -> None:
    names, shown = list(NAMES.values()), inputs()
    pool = [single_turn(f"{name} {i}", f"{name} {i}", name, name) for i, name in zip(range(40), cycle(names), strict=False)]
    pool[1] = single_turn("question", "a \ud800 b", "a", "o")
    verdict = shown.metrics["metrics/verdict.json"]
    control = verdict["random_rows"]
    control = {**control, "test": {**control["test"], **dict.fromkeys(names, control["test"]["quiz"])}}
    card = {**shown.metrics["metrics/data.json"]["pool"], "licences": dict(zip(names, names, strict=True))}
    card["kept_by_source"] = dict.fromkeys(names, 40)
    said = " ".join(names)
    metrics = {
        **shown.metrics,
        "metrics/verdict.json": {**verdict, "sentence": said, "claim": said, "also": said, "random_rows": control},
        "metrics/data.json": dict.fromkeys(("pool", "dev", "test"), card),
    }
    sources = [name for name, _ in zip(cycle(names), range(40), strict=False)]
    clusters = shown.clusters.assign(source=sources)
    page = render(
        replace(
            shown,
            metrics=metrics,
            pool=pool,
            clusters=clusters,
            selection=clusters.iloc[20:30][["id", "source", "cluster"]],
            params=[(name, name, name) for name in names],
        )
    )
    page.encode()
    assert not UNWRITTEN.search(page)
    assert "a \ufffd b" in page
    assert "<script>document" not in page
    pictures = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(pictures) > 4
    for picture in pictures:
        ElementTree.fromstring(picture)


def test_the_intervals_of_a_comparison_are_drawn_whatever_methods_are_called() -> None:
    table = pd.DataFrame({"method": list(NAMES.values()), "gain": 0.1, "low": 0.0, "high": 0.2})
    ElementTree.fromstring(charts.intervals(table, "gain", "low", "high", "method", "gain", "\0\x1b about"))


def test_names_that_are_shown_alike_stay_apart() -> None:
    """One bar for two sources would be a wrong number."""
    found = labels(["a\0", "a\1", "x" * 300 + "1", "x" * 300 + "2", "a\ufffd", "plain"])
    assert len(set(found.values())) == 6
    assert max(map(len, found.values())) < 210
    assert found["plain"] == "plain"
