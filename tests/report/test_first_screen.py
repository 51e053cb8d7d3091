"""The report's first screen: one claim, its gains, what would narrow them, and nothing that tempts beside it."""

import re
from dataclasses import replace

from report_inputs import VERDICT, inputs

from shed.report.page import render


def plain(page: str) -> str:
    """The words of a page."""
    numbers = re.sub(r"<span data-metric[^>]*>([^<]*)</span>|</?code>", r"\1", page)
    return " ".join(re.sub("<[^>]*>", " ", numbers).split())


def test_the_first_screen_is_the_verdict_and_what_tuning_does_on_any_rows_comes_later() -> None:
    page = plain(render(inputs()))
    order = [
        "On test, the selection is not shown",  # one claim
        "So there is no reason",
        "On quiz it is worse by 0.20.",
        "10 of 40 records were selected",
        "Gain in loss on all of test +0.04 [-0.10, +0.18] over random rows, as many",
        "Before and after tuning From the untuned to the tuned model, the test loss goes from 5.12 to 4.50",
        "what the selection adds is its gain over random rows, +0.04 in loss",
        "How far to trust the scores",
        "Fidelity of the Shapley scores (LDS)",
    ]
    places = [page.index(said) for said in order]
    assert places == sorted(places)
    assert page.count("On quiz it is worse") == 1


def test_how_many_intervals_there_are_is_said_with_how_many_miss() -> None:
    page = plain(render(inputs()))
    assert "By chance one interval of twenty misses the true gain; here are 12, so take a single task as a hint." in page
    # test: 4 of all, 3 of quiz and 2 of essay; dev: 3 of its only task
    assert "there the gain must also be more than a random draw may have by luck, 0.12." in page


def test_a_limit_on_items_is_named_where_items_make_the_interval_wide_and_more_are_there() -> None:
    shown = replace(inputs(), params=[("evaluate.limit", "10", "items of each task")])
    said = "75% of the variance of the first gain is between test items. 20 were asked of 40 that are there, since evaluate.limit is 10"
    assert said in plain(render(shown))
    assert "were asked of" not in render(replace(shown, params=[("evaluate.limit", "null", "items of each task")]))
    few_there = {"test": {**shown.metrics["metrics/data.json"]["test"], "kept": 20}}
    data = shown.metrics["metrics/data.json"]
    assert "were asked of" not in render(replace(shown, metrics=shown.metrics | {"metrics/data.json": data | few_there}))
    by_seeds = VERDICT | {"of_items": 0.25}
    assert "were asked of" not in render(replace(shown, metrics=shown.metrics | {"metrics/verdict.json": by_seeds}))


def test_the_control_that_decides_comes_first() -> None:
    verdict = {key: value for key, value in VERDICT.items() if key != "random_rows"}
    tokens, rows = VERDICT["random_rows"], VERDICT["random_rows"] | {"shared": 0.5}
    shown = inputs()
    shown.metrics["metrics/verdict.json"] = verdict | {"random_tokens": tokens, "random_rows": rows}
    page = plain(render(shown))
    assert "over random rows with as many response tokens" in page
    assert page.index("random rows with as many response tokens (") < page.index("random rows, as many (")
