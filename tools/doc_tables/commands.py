"""The table of how long a project takes to its first selected rows.

In: `benchmarks/commands/first_rows.json`. Out: a block of docs/command.md.
"""

from tools.doc_tables.markdown import Block, code, table
from tools.doc_tables.pipeline import NOT_YET
from tools.doc_tables.values import result


def first_rows() -> str:
    """By the number of rows, what `shed init` has chosen, and minutes."""
    try:
        found = result("commands/first_rows")
    except FileNotFoundError:
        return NOT_YET
    rows = []
    for own in sorted(found.values(), key=lambda one: int(one["rows"])):
        params, seconds = own["params"], own["seconds"]
        costly = max((name for name in seconds), key=lambda name: float(seconds[name]))
        rows.append(
            [
                f"{own['rows']:,}",
                f"{params['data.pool_rows'] or own['rows']:,}",
                f"{params['rate.screen'] or 1:.0%}",
                f"{own['selected']:,}",
                f"{own['forecast']['first_selected_rows'] / 60:.1f}",
                f"{own['all'] / 60:.1f}",
                f"{code(costly)} {seconds[costly] / 60:.1f}",
            ]
        )
    head = [
        "rows",
        "drawn",
        "of them rated",
        "selected",
        "told by `shed init`, minutes",
        "measured",
        "of it, the longest stage",
    ]
    return table(head, rows)


BLOCKS: dict[str, Block] = {"first selected rows": first_rows}
