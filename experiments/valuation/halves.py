"""The pipeline's audit with 32 half coalitions, for narrower intervals than the default's 12 give.

In: the default pool, its clusters, ratings and scores. Out: halves.json. `dvc --cd experiments/valuation repro halves` runs
it, in four minutes the first time.
"""

import json

import pandas as pd

from shed.common.atomic_io import write_json
from shed.params import load_params
from shed.valuation.audit import certainty_of
from stages.fidelity import audit_scores

RESULT, HALVES = "experiments/valuation/halves.json", 32


def main() -> None:
    params = load_params()
    more = params.fidelity.model_copy(update={"coalitions": HALVES, "target_coalitions": HALVES})
    scores = pd.read_parquet("data/scores.parquet").sort_values("cluster", ignore_index=True)
    report = audit_scores(params.model_copy(update={"fidelity": more}), scores).report | certainty_of(scores)
    write_json(RESULT, report)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
