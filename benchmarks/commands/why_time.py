"""Seconds of `shed why` on projects of 2,000 and 50,000 records.

In: nothing. Out: benchmarks/commands/why_time.json. Run it by `python -m benchmarks.commands.why_time`; it takes a minute, and
200 MB in the temporary folder.

Of a project only what the command reads is made, from random numbers and words. Each call is a process of its own, as a user
makes it, and is made a few times; the median is kept, and the most.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

from shed.common.atomic_io import write_array, write_json, write_jsonl, write_table
from shed.data.records import Record, single_turn
from shed.params import load_params
from shed.selection.candidates import candidates
from shed.selection.cluster_scores import ranked
from shed.selection.sampling import select
from stages.shared.selecting import sample_size

ROOT = Path(__file__).parents[2]
SIZES, CLUSTERS, SEED, REPEATS, VECTOR = (2_000, 50_000), 32, 1, 5, 384
PROMPT_WORDS, RESPONSE_WORDS = 40, 60


def main() -> None:
    result: dict[str, Any] = {}
    for rows in SIZES:
        with tempfile.TemporaryDirectory() as temporary:
            names = make_project(Path(temporary), rows)
            result[str(rows)] = {how: measure(Path(temporary), what) for how, what in names.items()}
    write_json("benchmarks/commands/why_time.json", result)
    print(json.dumps(result, indent=2))


def make_project(root: Path, count: int) -> dict[str, str]:
    """Write it; how one record may be named, by what is told of it."""
    rng = np.random.default_rng(SEED)
    words = ["".join(rng.choice(list("etaoinshrdlu"), rng.integers(2, 9))) for _ in range(20_000)]

    def text(length: int) -> str:
        return " ".join(words[place] for place in rng.integers(len(words), size=length))

    records = [
        single_turn(text(PROMPT_WORDS), text(RESPONSE_WORDS), f"source {n % 5}", f"mine/pool.jsonl, line {n + 1}")
        for n in range(count)
    ]
    (root / "dvc.yaml").write_text("stages: {}\n", encoding="utf-8")
    (root / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    write_jsonl(root / "data/prepared/pool.jsonl", (record.to_row() for record in records))
    for split in ("dev", "test"):
        write_jsonl(
            root / f"data/prepared/{split}.jsonl", (single_turn(text(9), text(9), split, split).to_row() for _ in "abc")
        )
    write_jsonl(root / "data/prepared/rejects.jsonl", [])
    (root / "data/prepared/faults.csv").write_text("id,fault\n", encoding="utf-8")
    write_json(root / "metrics/rate.json", {"unit": "nats per question"})
    vectors = rng.standard_normal((count, VECTOR), dtype=np.float32)
    write_array(root / "data/embeddings.npy", vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    chosen = write_tables(root, records, rng)
    prompt = records[chosen].prompt
    return {"id": records[chosen].id, "place": records[chosen].origin, "text": prompt[: len(prompt) // 2]}


def write_tables(root: Path, records: list[Record], rng: np.random.Generator) -> int:
    """Write what the stages would know of the records, and a selection of them; the place of one that is not in it."""
    params, count = load_params(root / "params.yaml"), len(records)
    ids = {"id": [record.id for record in records], "source": [record.source for record in records]}
    clusters = pd.DataFrame(
        ids | {"cluster": rng.integers(CLUSTERS, size=count), "distance": rng.random(count), "proxy": False}
    )
    response = rng.integers(1, 200, size=count)
    lengths = {"id": ids["id"], "tokens": response + 60, "response_tokens": response, "too_long": False}
    ratings = {"id": ids["id"], "rating": rng.standard_normal(count)}
    cluster = {"cluster": range(CLUSTERS), "score": rng.standard_normal(CLUSTERS), "stderr": 0.1, "size": count // CLUSTERS}
    scores = ranked(pd.DataFrame(cluster))
    table = candidates(clusters, pd.DataFrame(lengths), pd.DataFrame(ratings), params.rate.per, params.sample.too_long)
    assert params.sampler != "given"
    selection = select(table, scores, params.sampler, sample_size(params, table), params.sample.f, params.sample.seed, None)
    own = {"clusters": clusters, "lengths": pd.DataFrame(lengths), "ratings": pd.DataFrame(ratings)}
    for name, one in (own | {"scores": scores, "selection": selection}).items():
        write_table(root / f"data/{name}.parquet", one)
    selected = set(selection["id"])
    return next(place for place in range(count // 2, count) if records[place].id not in selected)


def measure(root: Path, what: str) -> dict[str, float]:
    """What a call takes."""
    command, environment = [sys.executable, "-m", "shed", "why", what], {**os.environ, "PYTHONPATH": str(ROOT)}
    seconds: list[float] = []
    waited: list[float] = []
    for _ in range(REPEATS + 1):
        began = time.monotonic()
        process = subprocess.Popen(command, cwd=root, env=environment, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            sys.exit(f"the command ended with status {status}")
        waited.append(time.monotonic() - began)
        seconds.append(usage.ru_utime + usage.ru_stime)
    own, wall = seconds[1:], waited[1:]  # the first call reads files into memory
    return {"processor_seconds": median(own), "most": max(own), "wall_seconds": median(wall), "most_wall": max(wall)}


if __name__ == "__main__":
    main()
