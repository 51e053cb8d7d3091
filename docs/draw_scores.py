"""Draw the current scores, as `dvc plots show` would, into docs/scores.svg, without a browser or a network."""

import json
import subprocess
from pathlib import Path

import vl_convert

TARGET = "metrics/plots/scores.csv"


def main() -> None:
    done = subprocess.run(["dvc", "plots", "show", TARGET, "--show-vega"], capture_output=True, text=True, check=True)  # noqa: S607
    specification = json.loads(done.stdout)
    if "$schema" not in specification:  # DVC nests plots that dvc.yaml names by their targets
        specification = json.loads(next(iter(specification.values()))[0]["content"])
    Path("docs/scores.svg").write_text(vl_convert.vegalite_to_svg(specification), encoding="utf-8")


if __name__ == "__main__":
    main()
