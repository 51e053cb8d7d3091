"""What one evaluation of a coalition costs: the naive protocol against this engine, on the same coalitions.

In: the pool, its clusters and dev, after `make repro`. Out: benchmarks/evaluation_cost.json. Run it by `make benchmark`.

Each coalition is half of the default pipeline's proxies. The naive protocol starts a process, loads the model, tunes all
layers and generates answers for the dev records. The engine is measured on the top four layers and at full depth, with one
coalition at a time and with as many together as scoring and the audit have, each counting its part of their time. The
engine's set-up (loading, hidden states below the tuned layers) is needed once for all evaluations, and is given separately.
"""

import json
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import torch

from experiments.shared.games import scoring_regime
from shed.common.atomic_io import write_json
from shed.data.records import Record, read_records
from shed.engine.coalition_trainer import COALITIONS_AT_ONCE, CoalitionTrainer
from shed.engine.utility import dev_set
from shed.models.encoding import Encoder
from shed.models.loading import has_fast_bfloat16, load_language_model, load_tokenizer, locate
from shed.params import load_params
from stages.shared.settings.model import model_spec

ROUNDS = 3
DEPTHS = (4, None)


def main() -> None:
    params = load_params()
    clusters = pd.read_parquet("data/clusters.parquet")
    pool = read_records("data/prepared/pool.jsonl")
    proxies = [record for record, chosen in zip(pool, clusters["proxy"], strict=True) if chosen]
    dev = read_records("data/prepared/dev.jsonl")[: params.score.dev_rows]
    dtype = "bfloat16" if has_fast_bfloat16() else "float32"
    rng = np.random.default_rng(0)
    halves = [rng.permutation(len(proxies)) < len(proxies) // 2 for _ in range(ROUNDS * COALITIONS_AT_ONCE)]
    rounds = np.reshape(halves, (ROUNDS, COALITIONS_AT_ONCE, -1))
    built = {depth: engine(proxies, dev, depth) for depth in DEPTHS}
    engines = {
        f"engine_depth_{depth or 'all'}{'_alone' if count == 1 else ''}": (built[depth], count)
        for depth in DEPTHS
        for count in (COALITIONS_AT_ONCE, 1)
    }
    seconds: dict[str, list[float]] = {name: [] for name in ("naive", *engines)}
    flops: dict[str, list[float]] = {name: [] for name in engines}
    for coalitions in rounds:
        members = [record for record, chosen in zip(proxies, coalitions[0], strict=True) if chosen]
        seconds["naive"].append(naive(members, dev, dtype))
        for name, (one, count) in engines.items():
            began = time.perf_counter()
            one.trainer.utilities(coalitions[:count].astype(np.float64))
            seconds[name].append((time.perf_counter() - began) / count)
            flops[name].append(float(np.mean([flop(one, coalition) for coalition in coalitions[:count]])))
    peak = product_peak(getattr(torch, dtype))
    result = {
        "machine": {"processor": platform.machine(), "threads": torch.get_num_threads(), "torch": torch.__version__},
        "dtype": dtype,
        "proxies": len(proxies),
        "dev_records": len(dev),
        "rounds": ROUNDS,
        "coalitions_together": COALITIONS_AT_ONCE,
        "seconds_per_evaluation": {name: median(times) for name, times in seconds.items()},
        "times_faster_than_naive": {
            name: median(a / b for a, b in zip(seconds["naive"], seconds[name], strict=True)) for name in engines
        },
        "tflop_per_evaluation": {name: median(flops[name]) / 1e12 for name in engines},
        "peak_gflop_per_second": peak / 1e9,
        "share_of_peak": {
            name: median(f / s for f, s in zip(flops[name], seconds[name], strict=True)) / peak for name in engines
        },
        "setup_seconds_once": {f"depth_{depth or 'all'}": one.setup for depth, one in built.items()},
    }
    write_json("benchmarks/evaluation_cost.json", result)
    print(json.dumps(result, indent=2))


@dataclass(frozen=True)
class Engine:
    """A trainer, what its products cost, and the seconds that its set-up took."""

    trainer: CoalitionTrainer
    dev_answers: int
    layer_weights: int
    head_weights: int
    setup: float


def engine(proxies: list[Record], dev: list[Record], depth: int | None) -> Engine:
    """The engine at this depth."""
    params = load_params()
    began = time.perf_counter()
    loaded = load_language_model(model_spec(params))
    model, encoder = loaded.model, loaded.encoder
    members, measured = encoder.encode_all(proxies, end=True), dev_set(params.score.utility, dev, encoder)
    layers = [m for layer in model.model.layers[-(depth or 0) :] for m in layer.modules() if isinstance(m, torch.nn.Linear)]
    weights, head = sum(m.weight.numel() for m in layers), model.lm_head.weight.numel()
    trainer = CoalitionTrainer(model, members, measured, scoring_regime(depth=depth))
    answers = sum(sequence.response_length for sequence in measured.sequences)
    return Engine(trainer, answers, weights, head, time.perf_counter() - began)


def flop(engine: Engine, coalition: np.ndarray) -> float:
    """Floating-point operations of an evaluation's matrix products with model weights; attention and LoRA are left out.

    A tuned token passes each layer, in each epoch, forward and, for the gradient of its input, backward; a measured one
    forward; the vocabulary head sees response tokens alone.
    """
    trainer = engine.trainer
    tuned = trainer.regime.epochs * trainer.lengths[coalition].sum()
    answers = trainer.regime.epochs * trainer.losses.response_tokens(np.flatnonzero(coalition).tolist())
    layers = engine.layer_weights * (2 * tuned + trainer.dev_length)
    return float(2 * (layers + engine.head_weights * (2 * answers + engine.dev_answers)))


def product_peak(dtype: torch.dtype) -> float:
    """Floating-point operations a second of a matrix product of the model's shapes, 512 tokens at a time."""
    left, right = torch.randn(512, 576, dtype=dtype), torch.randn(576, 1536, dtype=dtype)
    times = []
    for _ in range(300):
        began = time.perf_counter()
        left @ right
        times.append(time.perf_counter() - began)
    return 2.0 * 512 * 576 * 1536 / median(times)


def naive(members: list[Record], dev: list[Record], dtype: str) -> float:
    """Seconds of a whole process that tunes on these members and generates answers for dev."""
    params = load_params()
    spec = model_spec(params)
    encoder = Encoder(load_tokenizer(spec.where, spec.revision), "plain", spec.max_tokens, spec.max_tokens)
    task = {
        "model": locate(spec.where),
        "revision": spec.revision,
        "dtype": dtype,
        "tuning": params.regime.model_dump(),
        "members": [(encoder.renderer.prompt(record).text, record.response) for record in members],
        "dev": [(encoder.renderer.prompt(record).text, record.response) for record in dev],
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "task.json"
        path.write_text(json.dumps(task), encoding="utf-8")
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "benchmarks.naive_evaluation", str(path)], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - began


if __name__ == "__main__":
    main()
