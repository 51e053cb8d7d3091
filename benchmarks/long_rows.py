"""Peak memory and seconds of rating, scoring, tuning and evaluating on rows as long as real instruction data.

In: nothing but the packaged model. Out: benchmarks/long_rows.json. Run it by `python -m benchmarks.long_rows`; it takes about
half an hour. Each part runs in a process of its own, so that its peak is its own.

There are 240 rows, whose responses have 120 to 800 words, 240 on average; the context is 512 tokens, so that the longest are
cut. The settings are those of params.yaml. Of scoring there is the first estimate alone: nothing, all, and a pair of runs with
gradients, with each of C rows as the proxy of a cluster.
"""

import json
import multiprocessing
import random
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from shed.common.atomic_io import write_json
from shed.data.records import Record, single_turn
from shed.evaluation.lm_evaluation import evaluate
from shed.params import load_params
from shed.selection.scoring import score_clusters
from shed.settings.estimators import ESTIMATORS
from shed.tuning.finetuning import finetune
from shed.valuation.budget import Budget
from shed.valuation.proxy_game import Setting, open_game
from shed.valuation.ratings import rate
from stages.shared.settings.model import model_spec
from stages.shared.settings.regime import scoring_regime
from stages.shared.settings.tuning import tuning_settings

ROWS, DEV_ROWS, SELECTED = 240, 24, 24
FIRST_ESTIMATE = 4  # evaluations
WORDS = (
    "the a of to and in that is for it with as on be at by this from or an which you can are not have if more will one what "
    "how when use each model data text answer list write explain describe example number first second because between while "
    "function value result system water energy history language people city country river mountain school music science"
)


def main() -> None:
    results: dict[str, dict[str, float]] = {}
    max_tokens = load_params().model.max_tokens
    names = sys.argv[1:] or list(PARTS)
    for name in names:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            results[name] = pool.apply(measured, [name])
        print(name, json.dumps(results[name]), flush=True)
    if len(names) == len(PARTS):
        write_json("benchmarks/long_rows.json", {"rows": ROWS, "max_tokens": max_tokens, **results})


def measured(name: str) -> dict[str, float]:
    """Seconds, processor seconds and peak bytes of one part, in this process."""
    began = time.perf_counter()
    PARTS[name]()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "seconds": time.perf_counter() - began,
        "processor_seconds": usage.ru_utime + usage.ru_stime,
        "peak_gigabytes": 1024 * usage.ru_maxrss / 1e9,
    }


def rows(count: int, seed: int) -> list[Record]:
    """Rows of random words."""
    rng, words = random.Random(seed), WORDS.split()
    lengths = [max(120, min(800, round(rng.lognormvariate(5.35, 0.5)))) for _ in range(count)]
    return [
        single_turn(" ".join(rng.choices(words, k=30)), " ".join(rng.choices(words, k=length)), "long", f"row {n}")
        for n, length in enumerate(lengths)
    ]


def rate_rows() -> None:
    params = load_params()
    settings = scoring_regime(params, params.rate.seed)
    rate(rows(ROWS, 1), rows(DEV_ROWS, 2), model_spec(params), None, settings, params.rate.warm_rows, method=params.rate.method)


def score_rows() -> None:
    params = load_params()
    proxies = rows(params.C, 1)
    clusters = pd.DataFrame({"id": [row.id for row in proxies], "cluster": range(params.C), "proxy": True})
    setting = Setting(model_spec(params), {}, params.score.utility, scoring_regime(params, params.score.seed))
    estimator = ESTIMATORS[params.score.method](params.score)
    with (
        TemporaryDirectory() as folder,
        open_game(clusters, proxies, rows(DEV_ROWS, 2), setting, Path(folder) / "ledger.sqlite") as game,
    ):
        score_clusters(game, estimator, Budget(evaluations=FIRST_ESTIMATE), "stop", clusters)


def finetune_rows() -> None:
    params = load_params()
    with TemporaryDirectory() as folder:
        settings = tuning_settings(params, params.finetune.seed)
        finetune(rows(SELECTED, 1), model_spec(params), settings, Path(folder) / "adapter", "random words")


def evaluate_rows() -> None:
    params = load_params()
    evaluate(model_spec(params), None, {"dev": rows(DEV_ROWS, 2)}, None, params.evaluate.batch_size, [])


PARTS: dict[str, Callable[[], None]] = {
    "rate": rate_rows,
    "score": score_rows,
    "finetune": finetune_rows,
    "evaluate": evaluate_rows,
}

if __name__ == "__main__":
    main()
