"""Page: the comparison for a reader, one HTML file. In: the tables of `table`. Out: report.html, which needs no network."""

import pandas as pd

from shed.common.atomic_io import write_text
from shed.params import Params
from shed.report.comparison_page import ComparisonInputs, render_comparison
from stages import main


def run(_: Params) -> None:
    inputs = ComparisonInputs(
        test=pd.read_csv("experiments/compare/test.csv"),
        dev=pd.read_csv("experiments/compare/dev.csv"),
        by_task=pd.read_csv("experiments/compare/by_task.csv"),
        with_top=pd.read_csv("experiments/compare/with_top.csv"),
        with_all=pd.read_csv("experiments/compare/with_all.csv"),
        costs=pd.read_csv("experiments/compare/costs.csv"),
    )
    write_text("experiments/compare/report.html", render_comparison(inputs))


if __name__ == "__main__":
    main(run)
