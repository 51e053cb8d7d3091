"""The pipeline's audit with 32 half coalitions, which the default has no time for: intervals that say more than those of 12.

Usage, after `make repro`: python -m experiments.valuation.halves. Writes experiments/valuation/halves.json; four minutes at first.
"""

import json

from shed.common.atomic_io import write_json
from shed.params import load_params
from stages.fidelity import audit

HALVES = 32


def main() -> None:
    params = load_params()
    more = params.fidelity.model_copy(update={"coalitions": HALVES, "target_coalitions": HALVES})
    report, _ = audit(params.model_copy(update={"fidelity": more}))
    write_json("experiments/valuation/halves.json", report)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
