"""The paper's own settings on one GPU, cut to an hour: rate, score, select, tune, evaluate and verdict, each measured.

`python -m benchmarks.gpu.proof --pool FILE --dev FILE --model MODEL`, or `make gpu-proof`. In: records, and a model of 0.5 to 8
billion parameters. Out: in the folder `--out`, `results.md` and `results.json` with times, memory, token passes a second,
accuracy on lm-eval's tasks and the verdict; and the project that they are of, which `shed show` and `shed report` read.

It makes a project by `shed init`, puts the settings of profiles/paper.yaml into its params, and has DVC run one stage after
another. When it knows how fast the model is, it cuts the settings until the rest fits into `--minutes`. What was stopped goes
on by the same command.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.gpu.device import only
from benchmarks.gpu.page import page, results
from benchmarks.gpu.settings import changed, paper_params
from benchmarks.gpu.stage_runs import Stages
from shed.cli.making.sizing.suited import MARGIN
from shed.cli.running.kept_text import kept_text
from shed.cli.running.stages import order
from shed.common.atomic_io import read_json, write_json, write_text
from shed.data.formats.yaml_text import parse_yaml
from stages import command

FIRST = ("fetch", "prepare", "evaluate_base")  # what is known of time follows from them
FILES = ("pool", "dev", "test", "model", "tasks")
PARAMS = "params.yaml"
ROOT = Path(__file__).parents[2]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu.proof",
        description="Run the paper's settings, cut to an hour, on one GPU, and write a page of what was measured.",
    )
    parser.add_argument("--pool", required=True, help="records to select from: a file, or hf://datasets/OWNER/NAME@COMMIT")
    parser.add_argument("--dev", required=True, help="records that define what is useful: the same, or a task as lm_eval:gsm8k")
    parser.add_argument("--test", help="records to measure on; without them some of the pool are split off")
    parser.add_argument("--model", required=True, help="a folder, or an id of the Hugging Face Hub")
    parser.add_argument("--rows", type=int, default=10_000, help="of the pool, drawn at random (%(default)s)")
    parser.add_argument("--minutes", type=float, default=60, help="that all of it may take, downloads included (%(default)s)")
    parser.add_argument("--device", default="0", help="the number of a GPU, or cpu (%(default)s)")
    parser.add_argument("--tasks", nargs="*", default=["gsm8k", "mmlu"], help="lm-eval's, by name or file (gsm8k mmlu)")
    parser.add_argument("--out", type=Path, default=Path("build/gpu-proof"), help="the folder to write (%(default)s)")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    out: Path = given.out.resolve()
    asked = {name: _whole(value) if name in FILES else value for name, value in vars(given).items() if name != "out"}
    _check_same(out / "asked.json", asked)
    device = only(given.device)
    project = out / "project"
    if not (project / PARAMS).is_file():
        _init(project, asked)
    stages = Stages(project, out / "attempts.json")
    sizing = out / "sizing.json"
    if not sizing.is_file():
        own = parse_yaml((project / PARAMS).read_text(encoding="utf-8"), PARAMS, "dvc")
        _write_params(project, paper_params(own, given.rows, asked["tasks"]))
    for stage in FIRST:
        if stage != "fetch" or stage not in stages.taken():  # it runs each time, and downloads once
            stages.run(stage)
    if not sizing.is_file():
        print("proof: timing the model, and cutting the settings to the time ...", file=sys.stderr)
        left = (60 * given.minutes - sum(one.seconds for one in stages.attempts)) / MARGIN
        base = stages.taken()["evaluate_base"].seconds
        sized = [sys.executable, "-m", "benchmarks.gpu.sizing", str(left), str(base), str(sizing)]
        paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        if status := subprocess.run(sized, cwd=project, check=False, env=os.environ | {"PYTHONPATH": paths}).returncode:
            sys.exit(status)
    own = parse_yaml((project / PARAMS).read_text(encoding="utf-8"), PARAMS, "dvc")
    _write_params(project, changed(own, read_json(sizing)["changes"]))
    for stage in ["evaluate_base", *(name for name in order(project) if name not in FIRST)]:  # whose limit may be cut
        stages.run(stage)
    found = results(device, asked, read_json(sizing), stages, project)
    write_json(out / "results.json", found)
    write_text(out / "results.md", page(found))
    print(f"{found['verdict']['sentence']}\nThe page is {out / 'results.md'}, the project {project}.")


def _whole(value: Any) -> Any:
    """A path that is there, as it is seen from everywhere."""
    if isinstance(value, list):
        return [_whole(one) for one in value]
    return str(Path(value).resolve()) if isinstance(value, str) and Path(value).exists() else value


def _check_same(kept: Path, asked: Mapping[str, Any]) -> None:
    """Refuse to go on with what was begun with other arguments."""
    if not kept.is_file():
        write_json(kept, dict(asked))
    elif other := [name for name, value in read_json(kept).items() if asked.get(name) != value]:
        options = ", ".join(f"--{name}" for name in other)
        sys.exit(f"{kept.parent} holds a proof that was begun with other values of {options}; give the same, or another --out")


def _init(project: Path, asked: Mapping[str, Any]) -> None:
    where = [word for name in ("pool", "dev", "test", "model") if asked[name] for word in (f"--{name}", asked[name])]
    made = [sys.executable, "-m", "shed", "init", str(project), *where, "--trial", "--json"]  # the small sizes are not kept
    if status := subprocess.run(made, check=False, stdout=subprocess.DEVNULL).returncode:
        sys.exit(status)


def _write_params(project: Path, values: Mapping[str, Any]) -> None:
    path = project / PARAMS
    write_text(path, kept_text(path.read_text(encoding="utf-8"), values))


if __name__ == "__main__":
    command(main)
