"""Seconds and peak memory of reading, preparing and writing 200,000 Alpaca rows of 1 KB.

In: nothing. Out: benchmarks/prepare_rows.json. Run it by `python -m benchmarks.prepare_rows`; it takes some minutes, most of
them for near-duplicates, and a gigabyte in the temporary folder.

Rows are made of random words; 1 in 50 is a copy in capitals, and 1 in 50 a copy with one more word. Each measurement runs in a
process of its own, whose peak is the most that its memory ever was.
"""

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from shed.common.atomic_io import write_json, write_jsonl
from shed.data.preparation import prepare
from shed.data.readers import ReaderSettings, read_user

ROWS, DEV_ROWS, TEST_ROWS, SEED = 200_000, 300, 1000, 1
PROMPT_WORDS, INPUT_WORDS, OUTPUT_WORDS = 20, 40, 90
NEAR = 0.8
SETTINGS = ReaderSettings(form=None, columns=None, list_key=None, ignore=(), train_on="all", max_row_mb=16.0)


def main() -> None:
    result: dict[str, Any] = {"rows": ROWS}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        rng = random.Random(SEED)
        for split, rows in (("pool", ROWS), ("dev", DEV_ROWS), ("test", TEST_ROWS)):
            make_rows(folder / f"{split}.jsonl", rows, rng)
        result["bytes_of_a_row_mean"] = (folder / "pool.jsonl").stat().st_size / ROWS
        for name, near in (("equal", "none"), ("near_duplicates", str(NEAR))):
            command = [sys.executable, "-m", "benchmarks.prepare_rows", str(folder), near]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            result[name] = json.loads(done.stdout)
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
    """What the stage `prepare` does to such rows, without a model's check."""
    began = time.perf_counter()
    prepared = prepare(
        *(read_user(str(folder / f"{split}.jsonl"), SETTINGS) for split in ("pool", "dev", "test")),
        pool_rows=None,
        dev_rows=None,
        test_rows=None,
        near=near,
        seed=SEED,
    )
    prepared_at = time.perf_counter()
    write_jsonl(folder / "out/rejects.jsonl", (reject.to_row() for reject in prepared.rejects))
    prepared.check(0.0)
    for split in ("pool", "dev", "test"):
        write_jsonl(folder / f"out/{split}.jsonl", (record.to_row() for record in getattr(prepared, split)))
    card = prepared.card({split: {split: "made up"} for split in ("pool", "dev", "test")})
    return {
        "seconds": time.perf_counter() - began,
        "seconds_of_reading_and_preparing": prepared_at - began,
        "processor_seconds_of_the_process": time.process_time(),
        "peak_bytes_of_the_process": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        "kept": card["pool"]["kept"],
        "rejected_by_reason": card["pool"]["rejected_by_reason"],
    }


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(measure(Path(sys.argv[1]), None if sys.argv[2] == "none" else float(sys.argv[2]))))
    else:
        main()
