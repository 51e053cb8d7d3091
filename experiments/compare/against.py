"""Is one method better than another? Gains of methods over any reference, from the runs that were made.

In: `python -m experiments.compare.against REFERENCE METHOD [METHOD ...] [--share 0.1]`, and the items of those methods'
runs. Out: printed tables of dev and test; p-values are corrected for the number of these methods.
"""

import argparse
import sys

from experiments.compare.items import items_of
from experiments.compare.settings import PATH, load_settings, runs
from experiments.compare.table import markdown
from shed.common.errors import ShedError
from shed.evaluation.comparison import compare


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.compare.against", description="Gains of methods over a reference, on dev and on test."
    )
    parser.add_argument("reference", help="the method that the others are compared with, such as qocs")
    parser.add_argument("methods", nargs="+", metavar="method", help="a method; p-values are corrected for the number of these")
    parser.add_argument("--share", type=float, default=0.1, help="share of the pool that was selected (default: %(default)s)")
    asked = parser.parse_args()
    made = [run for run in runs(load_settings()) if run.fraction == asked.share]
    known = dict.fromkeys(run.method for run in made)
    unknown = [method for method in (asked.reference, *asked.methods) if method not in known]
    if unknown:
        have = ", ".join(known) or "no method"
        raise ShedError(f"no runs of {', '.join(unknown)} at the share {asked.share:g}; {PATH} has {have}")
    items = items_of(run for run in made if run.method in (asked.reference, *asked.methods))
    for split in ("dev", "test"):
        print(f"\n{split}: gains over {asked.reference} [95 %], p by Holm\n")
        print(markdown(compare(items, split, asked.reference)))


if __name__ == "__main__":
    try:
        main()
    except ShedError as problem:
        sys.exit(f"shed: error: {problem}")
