"""What one evaluation of a coalition costs: the naive protocol against this engine, in one run, on the same coalitions.

Usage, after `make repro`: python -m benchmarks.evaluation_cost. Writes benchmarks/evaluation_cost.json.

Each coalition is half of the default pipeline's proxies. The naive protocol starts a process, loads the model, tunes all
layers and generates answers for the dev records. The engine is measured at the pipeline's depth and at full depth; its
set-up (loading, hidden states below the tuned layers) is paid once for all evaluations and given apart.
"""

import json
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import torch

from shed.files import write_json
from shed.models import load_model, load_tokenizer, locate
from shed.params import load_params
from shed.prompts import encode_all, render_prompt
from shed.records import Record, read_records
from shed.valuation.training import CoalitionTrainer, Regime
from shed.valuation.utility import dev_set

COALITIONS = 3


def main() -> None:
    params = load_params()
    clusters = pd.read_parquet("data/clusters.parquet")
    pool = read_records("data/prepared/pool.jsonl")
    proxies = [record for record, chosen in zip(pool, clusters["proxy"], strict=True) if chosen]
    dev = read_records("data/prepared/dev.jsonl")[: params.score.dev_rows]
    rng = np.random.default_rng(0)
    coalitions = [rng.permutation(len(proxies)) < len(proxies) // 2 for _ in range(COALITIONS)]
    engines = {f"engine_depth_{depth or 'all'}": engine(proxies, dev, depth) for depth in (params.score.tuning.depth, None)}
    seconds: dict[str, list[float]] = {name: [] for name in ("naive", *engines)}
    for coalition in coalitions:
        members = [record for record, chosen in zip(proxies, coalition, strict=True) if chosen]
        seconds["naive"].append(naive(members, dev))
        for name, (trainer, _) in engines.items():
            began = time.perf_counter()
            trainer.utility(coalition.astype(np.float32))
            seconds[name].append(time.perf_counter() - began)
    result = {
        "machine": {"processor": platform.machine(), "threads": torch.get_num_threads(), "torch": torch.__version__},
        "proxies": len(proxies),
        "dev_records": len(dev),
        "coalitions": COALITIONS,
        "seconds_per_evaluation": {name: median(times) for name, times in seconds.items()},
        "times_faster_than_naive": {
            name: median(a / b for a, b in zip(seconds["naive"], seconds[name], strict=True)) for name in engines
        },
        "setup_seconds_once": {name: setup for name, (_, setup) in engines.items()},
    }
    write_json("benchmarks/evaluation_cost.json", result)
    print(json.dumps(result, indent=2))


def engine(proxies: list[Record], dev: list[Record], depth: int | None) -> tuple[CoalitionTrainer, float]:
    """A trainer at this depth, and the seconds that its set-up took."""
    params = load_params()
    began = time.perf_counter()
    model, tokenizer = load_model(params.model.name), load_tokenizer(params.model.name)
    limit = model.config.max_position_embeddings
    members = encode_all(proxies, tokenizer, params.model.prompt, params.model.max_tokens, limit, end=True)
    measured = dev_set(params.score.utility, dev, tokenizer, params.model.prompt, params.model.max_tokens, limit)
    regime = Regime(**(params.score.tuning.model_dump() | {"depth": depth}), seed=params.score.seed)
    return CoalitionTrainer(model, members, measured, regime), time.perf_counter() - began


def naive(members: list[Record], dev: list[Record]) -> float:
    """Seconds of a whole process that tunes on these members and generates answers for dev."""
    params = load_params()
    tokenizer = load_tokenizer(params.model.name)
    task = {
        "model": locate(params.model.name),
        "tuning": params.score.tuning.model_dump(),
        "members": [(render_prompt(record, "plain", tokenizer), record.response) for record in members],
        "dev": [(render_prompt(record, "plain", tokenizer), record.response) for record in dev],
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "task.json"
        path.write_text(json.dumps(task), encoding="utf-8")
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "benchmarks.naive_evaluation", str(path)], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - began


if __name__ == "__main__":
    main()
