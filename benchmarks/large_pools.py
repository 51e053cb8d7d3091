"""Seconds and peak memory of the stages `prepare`, `cluster` and `sample` on a million records, and of `embed` on ten thousand.

In: nothing but the packaged embedder. Out: benchmarks/large_pools.json. Run it by `python -m benchmarks.large_pools`, with
`--rows N --clusters C --embedded M` for a smaller pool, and with `--parts` for some of the results, the others staying as they
are; it takes half an hour, and four gigabytes in the temporary folder.

Rows for `prepare` are made of random words and have 100 bytes to 1 KB; 1 in 50 is a copy in capitals, and 1 in 50 a copy with
one more word. It runs without a search for near-duplicates, which is the default, and with it. Embeddings are unit rows around
topics of very different sizes, which lie near one another in groups; records are short questions. The stages run as DVC runs
them, in processes of their own, whose peak is the most that their memory ever was, with what the system keeps in memory of the
embeddings' file. Processor seconds tell more than seconds where the machine is busy. Methods of clustering are compared on
fewer rows by inertia, and `embed` with sentence-transformers alone on the same texts, in turns.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ruamel.yaml import YAML

from shed.common.arrays import map_array
from shed.common.atomic_io import read_json, write_json, write_table
from shed.data.records import read_records, single_turn
from shed.embedding.embedder import embed, text_of
from shed.models.loading import load_embedder
from shed.models.specs import EmbedderSpec
from shed.selection.clustering import cluster as cluster_rows
from shed.selection.clustering import quality

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "large_pools.json"
PARTS = ("preparing", "selecting", "clusterings", "embedding")
ROWS, CLUSTERS, EMBEDDED, SEED = 1_000_000, 3000, 20_000, 1
D, TOPICS, GROUPS, DIRECTIONS, AT_ONCE = 384, 8000, 60, 48, 50_000
COMPARED_ROWS, COMPARED_CLUSTERS = 50_000, 300
TIMED, TURNS = 1500, 3
WORDS, LEAST_WORDS, MOST_WORDS, NEAR = 20_000, 12, 155, 0.8
MEASURED = {"dev": 300, "test": 1000}
RUN = """
import runpy, sys
runpy.run_module(sys.argv[1], run_name="__main__")
print(open("/proc/self/status").read())
"""
EMBEDDER = EmbedderSpec("packaged/all-minilm-l6-v2", 64)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large_pools", description="measure stages on large pools")
    for name, size in (("rows", ROWS), ("clusters", CLUSTERS), ("embedded", EMBEDDED)):
        parser.add_argument(f"--{name}", type=int, default=size)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what of the results is measured anew")
    asked = parser.parse_args()
    sizes = {"rows": asked.rows, "clusters": asked.clusters, "embedded": asked.embedded}
    result: dict[str, Any] = read_json(RESULT) if RESULT.exists() and set(asked.parts) != set(PARTS) else sizes.copy()
    if {name: result[name] for name in sizes} != sizes:
        sys.exit(f"{RESULT.name} is of other sizes; measure all parts")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in ("data/prepared", "metrics"):
            (folder / name).mkdir(parents=True)
        set_params(folder, asked.clusters, "top")
        if "preparing" in asked.parts:
            result |= measure_preparing(asked.rows)
        if "selecting" in asked.parts:
            result |= measure_selecting(folder, asked.rows, asked.clusters)
        if "clusterings" in asked.parts:
            make_embeddings(folder / "data/embeddings.npy", COMPARED_ROWS)
            result["clusterings"] = compared(map_array(folder / "data/embeddings.npy"))
        if "embedding" in asked.parts:
            for name, rows in (("embed_half", asked.embedded // 2), ("embed", asked.embedded)):
                make_pool(folder, rows)
                result[name] = run("stages.embed", folder)
            result["embed_alone"] = alone()
    write_json(RESULT, result)
    print(json.dumps(result, indent=2))


def measure_preparing(rows: int) -> dict[str, Any]:
    """The stage `prepare`, in a folder of its own, without and with a search for near-duplicates."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder, rng = Path(temporary), random.Random(SEED)
        for split, count in {"pool": rows, **MEASURED}.items():
            make_rows(folder / f"{split}.jsonl", count, rng)
        for name, near in (("prepare", None), ("prepare_near", NEAR)):
            set_data(folder, near)
            run("stages.fetch", folder)
            card = folder / "metrics/data.json"
            found[name] = run("stages.prepare", folder)
            found[name] |= {key: read_json(card)["pool"][key] for key in ("kept", "rejected_by_reason")}
    return found


def make_rows(path: Path, rows: int, rng: random.Random) -> None:
    """Write Alpaca rows as JSON lines, short ones as often as long ones."""
    words = ["".join(rng.choices("etaoinshrdlucmfwyp", k=rng.randint(2, 9))) for _ in range(WORDS)]
    row: dict[str, str] = {}
    with path.open("w", encoding="utf-8") as file:
        for n in range(rows):
            if n % 50 == 20:
                row = {key: text.upper() for key, text in row.items()}
            elif n % 50 == 40:
                row = {**row, "output": row["output"] + " " + rng.choice(words)}
            else:
                said = rng.choices(words, k=rng.randint(LEAST_WORDS, MOST_WORDS))
                row = {"instruction": " ".join(said[: len(said) // 3]), "output": " ".join(said[len(said) // 3 :])}
            file.write(json.dumps(row) + "\n")


def set_data(folder: Path, near: float | None) -> None:
    yaml = YAML()  # ruamel's round trip: plain values, no objects of a file's choice
    params = yaml.load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["data"] |= {split: f"{split}.jsonl" for split in ("pool", "dev", "test")}
    params["data"] |= {"pool_rows": None, "dev_rows": None, "test_rows": None, "near_duplicates": near}
    with (folder / "params.yaml").open("w", encoding="utf-8") as file:
        yaml.dump(params, file)


def measure_selecting(folder: Path, rows: int, clusters: int) -> dict[str, Any]:
    """The stages from embeddings to a selection, for each sampler that could be slow."""
    make_pool(folder, rows)
    make_embeddings(folder / "data/embeddings.npy", rows)
    found: dict[str, Any] = {"cluster": run("stages.cluster", folder)}
    found["cluster"]["metrics"] = read_json(folder / "metrics/cluster.json")
    make_rest(folder, clusters)
    for sampler in ("top", "qocs", "qwcs"):
        set_params(folder, clusters, sampler)
        found[f"sample_{sampler}"] = run("stages.sample", folder)
    return found


def make_pool(folder: Path, rows: int) -> None:
    """Write short records, as `prepare` leaves them, and what identifies the embedder."""
    write_json(folder / "data/embedder.json", {"name": EMBEDDER.name})
    with (folder / "data/prepared/pool.jsonl").open("w", encoding="utf-8") as file:
        for n in range(rows):
            turns = f"What is {n} times {n % 97}?", f"{n} times {n % 97} is {n * (n % 97)}."
            file.write(json.dumps(single_turn(*turns, f"source {n % 5}", f"pool.jsonl, line {n + 1}").to_row()) + "\n")
    (folder / "data/prepared/faults.csv").write_text("id,fault,of\n", encoding="utf-8")


def make_embeddings(path: Path, rows: int) -> None:
    """Write (rows, D) float32 unit rows around topics."""
    rng = np.random.default_rng(SEED)
    directions = rng.standard_normal((DIRECTIONS, D), dtype=np.float32) / np.sqrt(D).astype(np.float32)
    topics = rng.standard_normal((GROUPS, DIRECTIONS))[rng.integers(GROUPS, size=TOPICS)]
    topics = (topics + 0.8 * rng.standard_normal((TOPICS, DIRECTIONS))).astype(np.float32)
    often = rng.pareto(1.5, TOPICS) + 0.1
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(rows, D))
    for start in range(0, rows, AT_ONCE):
        several = min(AT_ONCE, rows - start)
        about = topics[rng.choice(TOPICS, size=several, p=often / often.sum())]
        about = about + 0.7 * rng.standard_normal(about.shape, dtype=np.float32)
        block = about @ directions + 0.12 * rng.standard_normal((several, D), dtype=np.float32)
        array[start : start + several] = block / np.linalg.norm(block, axis=1, keepdims=True)
    array.flush()


def make_rest(folder: Path, clusters: int) -> None:
    """Write what `sample` reads beside clusters."""
    rng = np.random.default_rng(SEED)
    ids = pd.read_parquet(folder / "data/clusters.parquet", columns=["id"])["id"]
    tokens = rng.integers(1, 40, len(ids))
    write_table(folder / "data/lengths.parquet", pd.DataFrame({"id": ids, "response_tokens": tokens, "too_long": False}))
    write_table(folder / "data/ratings.parquet", pd.DataFrame({"id": ids, "rating": rng.standard_normal(len(ids))}))
    scores = pd.DataFrame({"cluster": rng.permutation(clusters), "score": -np.sort(-rng.standard_normal(clusters))})
    scores.insert(0, "rank", np.arange(1, clusters + 1))
    write_table(folder / "data/scores.parquet", scores)


def set_params(folder: Path, clusters: int, sampler: str) -> None:
    yaml = YAML()  # ruamel's round trip: plain values, no objects of a file's choice
    params = yaml.load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params |= {"C": clusters, "sampler": sampler}
    params["data"]["pool_rows"] = None
    with (folder / "params.yaml").open("w", encoding="utf-8") as file:
        yaml.dump(params, file)


def run(module: str, folder: Path) -> dict[str, float]:
    """What a stage takes in a folder with its inputs. It tells its own peak: `wait4` would tell this process's, if larger."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, module],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{module} ended with status {status}")
    return {
        "seconds": time.perf_counter() - began,
        "processor_seconds": usage.ru_utime + usage.ru_stime,
        "peak_bytes": 1024 * int(said.rpartition("VmHWM:")[2].split()[0]),
    }


def compared(embeddings: np.ndarray) -> dict[str, Any]:
    """Inertia and time of ways to cluster the same rows: ours, scikit-learn's of mini-batches, and its k-means."""
    from sklearn.cluster import KMeans

    rows, C = np.asarray(embeddings[:COMPARED_ROWS]), COMPARED_CLUSTERS
    found: dict[str, Any] = {"rows": len(rows), "clusters": C}
    for name in ("kmeans", "minibatch_kmeans"):
        timed, clustering = processor_time(partial(cluster_rows, rows, C, name, 1, SEED))
        found[name] = {"processor_seconds": timed, "inertia": quality(rows, clustering, SEED)["inertia"]}
    timed, fitted = processor_time(lambda: KMeans(C, n_init=1, random_state=SEED).fit(rows))
    return found | {"one_start_on_all_rows": {"processor_seconds": timed, "inertia": float(fitted.inertia_)}}


def alone() -> dict[str, Any]:
    """Processor seconds of `embed` and of sentence-transformers alone on records of the pool that `prepare` left, in turns."""
    records = read_records("data/prepared/pool.jsonl")[:TIMED]
    texts = [text_of(record, EMBEDDER.of) for record in records]
    embed(records[:100], EMBEDDER)
    ours, theirs = [], []
    for _ in range(TURNS):
        theirs.append(processor_time(lambda: load_embedder(EMBEDDER.name).encode(texts, batch_size=EMBEDDER.batch_size))[0])
        ours.append(processor_time(lambda: embed(records, EMBEDDER))[0])
    return {"records": len(records), "embed": ours, "sentence_transformers": theirs}


def processor_time(call: Callable[[], Any]) -> tuple[float, Any]:
    began = time.process_time()
    value = call()
    return time.process_time() - began, value


if __name__ == "__main__":
    main()
