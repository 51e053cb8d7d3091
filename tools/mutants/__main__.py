"""Put small faults into the code of scores, selections and the verdict, and see whether a test fails.

In: a seed and a time. Out: benchmarks/mutants.json, with the reason of each survivor that had one before, and
docs/reliability.md after `make docs`. Only tests that run the changed line are run, the quickest first.
"""

import argparse
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from scipy.stats import binomtest

from shed.common.atomic_io import read_json, write_json
from shed.common.import_closure import ROOT, has_code
from shed.common.progress import track
from tools.mutants.places import Mutant, mutants
from tools.mutants.running import first_run, is_found, preload

OFTEN = 10  # mutants after which the result is written
RESULT = ROOT / "benchmarks/mutants.json"
CODE = ("shed/valuation", "shed/selection", "shed/evaluation/verdict.py", "shed/evaluation/comparison.py")
SUITES = (
    *("tests/valuation", "tests/selection", "tests/evaluation/test_verdict.py", "tests/evaluation/test_comparison.py"),
    "tests/data/tasks/test_worst_task.py",
)
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")  # a fork has none of its parent's threads


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.mutants", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0, help="after which none is tried; they come in random order")
    parser.add_argument("--again", action="store_true", help="try those that no test found the last time, and no others")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--code", nargs="*", default=CODE, help="files and folders that are changed")
    parser.add_argument("--suites", nargs="*", default=SUITES, help="tests that are run")
    parser.add_argument("--result", type=Path, default=RESULT)
    asked = parser.parse_args()
    os.environ |= dict.fromkeys(THREADS, "1") | {"TOKENIZERS_PARALLELISM": "false"}
    os.chdir(ROOT)
    every = [one for path in _files(asked.code) for one in mutants(path, asked.seed)]
    last: dict[str, Any] | None = read_json(asked.result) if asked.result.exists() else None
    with TemporaryDirectory() as folder:
        known = first_run(asked.suites, sorted({one.module for one in every}), Path(folder))
        preload(known)

        def found(one: Mutant) -> bool:
            return is_found(one, known, Path(folder))

        if asked.again and last is not None:
            write_json(asked.result, _again(last, every, found))
        else:
            for told in _tried(every, asked.seed, 60 * asked.minutes, found, last):
                write_json(asked.result, told)


def _files(code: Sequence[str]) -> list[Path]:
    found = [path for own in code for path in ([ROOT / own] if own.endswith(".py") else sorted((ROOT / own).rglob("*.py")))]
    return [path for path in found if has_code(path)]


def _tried(
    every: Sequence[Mutant], seed: int, seconds: float, found: Callable[[Mutant], bool], last: dict[str, Any] | None
) -> Iterator[dict[str, Any]]:
    """The result so far, after some mutants more; a survivor that the last result had, too, keeps its reason."""
    reasons = {_key(one): one["reason"] for one in (last["survivors"] if last else [])}
    modules = {one: {"places": 0, "tried": 0, "found": 0} for one in sorted({one.module for one in every})}
    for one in every:
        modules[one.module]["places"] += 1
    result: dict[str, Any] = {"seed": seed, "modules": modules, "survivors": []}
    ends, order = time.monotonic() + seconds, random.Random(seed).sample(every, len(every))
    for number, one in enumerate(track(order, "mutants", "mutant", len(order)), start=1):
        modules[one.module]["tried"] += 1
        if found(one):
            modules[one.module]["found"] += 1
        else:
            told = _survivor(one)
            result["survivors"].append(told | {"reason": reasons.get(_key(told))})
        if number % OFTEN == 0 or number == len(order):
            yield _summed(result)
        if time.monotonic() > ends:
            break
    yield _summed(result)


def _again(last: dict[str, Any], every: Sequence[Mutant], found: Callable[[Mutant], bool]) -> dict[str, Any]:
    """The last result without those survivors that a test finds now."""
    modules = {one["module"] for one in last["survivors"]}
    known = {_key(_survivor(one)): one for one in every if one.module in modules}
    left = []
    for one in last["survivors"]:
        mutant = known.get(_key(one))  # None: its line is another one by now
        if mutant is not None and found(mutant):
            last["modules"][one["module"]]["found"] += 1
        else:
            left.append(one)
    return {**_summed(last | {"survivors": left}), "found_at_first": last.get("found_at_first", last["found"])}


def _survivor(mutant: Mutant) -> dict[str, Any]:
    was, now = mutant.change
    return {"module": mutant.module, "line": mutant.first, "was": was, "is": now}


def _key(told: dict[str, Any]) -> tuple[str, str, str]:
    return told["module"], told["was"], told["is"]


def _summed(result: dict[str, Any]) -> dict[str, Any]:
    """The result with its sums, and the 95 % interval of the share that is found (Wilson)."""
    tried, found = (sum(own[what] for own in result["modules"].values()) for what in ("tried", "found"))
    low, high = binomtest(found, tried).proportion_ci(method="wilson")
    survivors = sorted(result["survivors"], key=lambda one: (one["module"], one["line"], one["is"]))
    equal = sum(str(one["reason"]).startswith("equal") for one in survivors)  # nothing else is computed
    sums = {"places": sum(own["places"] for own in result["modules"].values()), "tried": tried, "found": found}
    shares = {"share": found / tried, "share_low": low, "share_high": high, "share_of_unequal": found / (tried - equal)}
    return {"seed": result["seed"], **sums, **shares, "modules": result["modules"], "survivors": survivors}


if __name__ == "__main__":
    main()
