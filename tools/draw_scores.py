"""Draw the scores as `dvc plots show` does, without a browser or a network. Usage: python -m tools.draw_scores

In: `metrics/plots/scores.csv` and its template. Out: `docs/scores.svg`.
"""

import json
import subprocess

import vl_convert

from shed.common.import_closure import ROOT

TARGET = "metrics/plots/scores.csv"


def main() -> None:
    command = ["dvc", "plots", "show", TARGET, "--show-vega"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    specification = json.loads(done.stdout)
    if "$schema" not in specification:  # DVC nests plots that dvc.yaml names by their targets
        specification = json.loads(next(iter(specification.values()))[0]["content"])
    (ROOT / "docs/scores.svg").write_text(vl_convert.vegalite_to_svg(specification), encoding="utf-8")


if __name__ == "__main__":
    main()
