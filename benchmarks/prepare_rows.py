"""Seconds and peak memory of the stage `prepare` on 200,000 Alpaca rows of 1 KB.

In: nothing but the packaged models. Out: benchmarks/prepare_rows.json. Run it by `python -m benchmarks.prepare_rows`; it takes
some minutes, most of them for near-duplicates, and a gigabyte in the temporary folder.

Rows are made of random words; 1 in 50 is a copy in capitals, and 1 in 50 a copy with one more word. The stage runs as DVC runs
it, in a process of its own, whose peak is the most that its memory ever was; the model is looked at, and one pass of it timed,
as for any run.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from shed.common.atomic_io import read_json, write_json

ROOT = Path(__file__).parents[1]
ROWS, DEV_ROWS, TEST_ROWS, SEED = 200_000, 300, 1000, 1
PROMPT_WORDS, INPUT_WORDS, OUTPUT_WORDS = 20, 40, 90
NEAR = 0.8


def main() -> None:
    result: dict[str, Any] = {"rows": ROWS}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        rng = random.Random(SEED)
        for split, rows in (("pool", ROWS), ("dev", DEV_ROWS), ("test", TEST_ROWS)):
            make_rows(folder / f"{split}.jsonl", rows, rng)
        result["bytes_of_a_row_mean"] = (folder / "pool.jsonl").stat().st_size / ROWS
        for name, near in (("equal", None), ("near_duplicates", NEAR)):
            result[name] = measure(folder, near)
    result["near_duplicates"]["threshold"] = NEAR
    write_json("benchmarks/prepare_rows.json", result)
    print(json.dumps(result, indent=2))


def make_rows(path: Path, rows: int, rng: random.Random) -> None:
    """Write Alpaca rows as JSON lines."""
    letters = "etaoinshrdlucmfwyp"
    words = ["".join(rng.choices(letters, k=rng.randint(2, 9))) for _ in range(20_000)]
    row: dict[str, str] = {}
    with path.open("w", encoding="utf-8") as file:
        for n in range(rows):
            if n % 50 == 20:
                row = {key: text.upper() for key, text in row.items()}
            elif n % 50 == 40:
                row = {**row, "output": row["output"] + " " + rng.choice(words)}
            else:
                counts = {"instruction": PROMPT_WORDS, "input": INPUT_WORDS, "output": OUTPUT_WORDS}
                row = {key: " ".join(rng.choices(words, k=count)) for key, count in counts.items()}
            file.write(json.dumps(row) + "\n")


def measure(folder: Path, near: float | None) -> dict[str, Any]:
    """What the stage takes in a folder with the rows."""
    yaml = YAML()  # ruamel's round trip: plain values, no objects of a file's choice
    params = yaml.load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["data"] |= {split: f"{split}.jsonl" for split in ("pool", "dev", "test")}
    params["data"] |= {"pool_rows": None, "dev_rows": None, "test_rows": None, "near_duplicates": near}
    with (folder / "params.yaml").open("w", encoding="utf-8") as file:
        yaml.dump(params, file)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-m", "stages.fetch"], cwd=folder, env=environment, check=True)
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "stages.prepare"], cwd=folder, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"the stage ended with status {status}")
    card = read_json(folder / "metrics/data.json")
    return {
        "seconds": time.perf_counter() - began,
        "processor_seconds": usage.ru_utime + usage.ru_stime,
        "peak_bytes": 1024 * usage.ru_maxrss,
        "kept": card["pool"]["kept"],
        "rejected_by_reason": card["pool"]["rejected_by_reason"],
    }


if __name__ == "__main__":
    main()
