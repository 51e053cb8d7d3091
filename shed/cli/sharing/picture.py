"""The verdicts of two revisions as a picture.

In: revisions. Out: an SVG file, which stands by itself.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from shed.cli.sharing.revisions import Revision
from shed.cli.sharing.texts import one_line
from shed.common.atomic_io import write_text

SHORT = {"random_rows": "random rows", "random_tokens": "random tokens", "all_rows": "whole pool"}
MOST_NAME = 14  # characters; the axis has room for about thirty


def draw_gains(revisions: Mapping[str, Revision], path: Path) -> None:
    """The gain in loss on test over each control, with its interval: a line for each revision, by what it is to be called."""
    import pandas as pd

    from shed.report.charts import intervals

    table = pd.DataFrame(_gains(revisions), columns=["label", "gain", "low", "high"])
    about = f"Gain in loss on test, with 95 % intervals: {' and '.join(revisions)}."
    title = "gain in loss on test, nats a response token"
    write_text(path, intervals(table, "gain", "low", "high", "label", title, about) + "\n")


def _gains(revisions: Mapping[str, Revision]) -> Iterator[dict[str, Any]]:
    for control, short in SHORT.items():
        for called, revision in revisions.items():
            own = revision.metrics.get("verdict", {}).get(control, {}).get("test", {}).get("all", {}).get("loss")
            if own is not None:
                yield {"label": f"{one_line(called, MOST_NAME)}: {short}", **{key: own[key] for key in ("gain", "low", "high")}}
