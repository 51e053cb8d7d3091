"""Scores of the pool by LESS (Xia et al. 2024, arXiv 2402.04333), as a selection that the referee judges beside others.

In: what `dvc repro` made of the pool, dev and the model, and `params.yaml`. Out: in the folder that
`python -m experiments.less FOLDER` names, `scores.parquet` (`id`, `score`, as `sample.given` takes it) and `less.json`, the
settings and the cost.

LESS tunes on a twentieth of the pool for four epochs. After each epoch, a pool record counts by the cosine of Adam's step on
it with the gradients of dev, both projected at random; epochs are weighted by their learning rates. LoRA weights, learning
rate, schedule and batch size are those of the final tuning, and tokens and prompts, too; the dev records are those of the
ratings. Finished epochs are kept in `.shed/less` until all are there, so that a run that was stopped goes on.
"""

import argparse
import itertools
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from experiments.less.influence import influences, scores
from experiments.less.projection import Projection
from experiments.less.warm_up import checkpoints, mean_rates
from shed.common.atomic_io import read_json, write_json, write_table
from shed.common.errors import ShedError
from shed.common.import_closure import code_digest
from shed.common.progress import track
from shed.data.records import Record, read_records
from shed.engine.coalition_trainer import CoalitionTrainer
from shed.engine.utility import dev_set
from shed.models.loading import load_language_model
from shed.models.parallel import threads_used
from shed.params import Params, load_params
from shed.selection.controls import random_rows
from shed.valuation.rated_blocks import RatedBlocks
from stages import FINAL_TUNING, command, naming_keys
from stages.fidelity import target_regime
from stages.shared.settings.model import model_spec

WARM_SHARE, EPOCHS, DIMENSIONS = 0.05, 4, 8192  # the paper's
KEPT = Path(os.environ.get("DVC_ROOT", ".")) / ".shed" / "less"  # DVC_ROOT: shared by experiments in copies
CODE = ("experiments.less.influence", "experiments.less.warm_up")  # the regime is compared as such


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.less",
        description="Score the prepared pool by LESS (arXiv 2402.04333), after `dvc repro`.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where scores.parquet and less.json are written")
    folder: Path = parser.parse_args().folder
    with naming_keys(FINAL_TUNING):
        less(load_params(), folder)
    print(
        f"shed: wrote {folder}/scores.parquet; now `python -m experiments.referee less={folder}/scores.parquet`",
        file=sys.stderr,
    )


def less(params: Params, folder: Path) -> None:
    """Write scores of the prepared pool, and settings and cost.

    Raises:
        ShedError: there is no dev record, the tuning diverges, the model is of another shape, or a record cannot be tuned on.
    """
    pool, dev = read_records("data/prepared/pool.jsonl"), read_records("data/prepared/dev.jsonl")[: params.rate.dev_rows]
    fte_of_pass, seed = _fte_of_pass(), params.rate.seed
    warm = random_rows(pool, max(1, round(WARM_SHARE * len(pool))), seed)
    trainer = _trainer(params, warm, pool, dev)
    kept = RatedBlocks(KEPT, _asked(params, trainer, {"warm": warm, "pool": pool, "dev": dev}))
    of_pool = range(len(warm), len(warm) + len(pool))
    by_source: dict[str, list[int]] = {}
    for place, record in enumerate(dev, start=of_pool.stop):
        by_source.setdefault(record.source, []).append(place)
    projection = Projection(trainer.initial.numel(), DIMENSIONS, seed, trainer.initial)
    by_epoch: list[np.ndarray] = []
    costs: list[np.ndarray] = []
    began = _clock()
    with _bar(EPOCHS * (len(pool) + len(dev))) as advance:
        for epoch, checkpoint in enumerate(checkpoints(trainer), start=1):
            found, cost = kept.array(f"influences-{epoch}"), kept.array(f"cost-{epoch}")
            if found is None or cost is None:
                found = influences(trainer, checkpoint, projection, of_pool, by_source, advance)
                cost = _clock() - began
                kept.keep_array(f"influences-{epoch}", found)
                kept.keep_array(f"cost-{epoch}", cost)
            else:
                advance(len(pool) + len(dev))
            by_epoch.append(found)
            costs.append(cost)
            print(f"shed: LESS: epoch {epoch} of {EPOCHS} took {cost[0]:.0f} s", file=sys.stderr)
            began = _clock()
    rates, passes, took = mean_rates(trainer), _token_passes(trainer), np.sum(costs, axis=0)
    about = {
        "method": "LESS (arXiv 2402.04333)",
        "rows": len(pool),
        "warm_rows": len(warm),
        "dev_rows": {name: len(places) for name, places in by_source.items()},
        "regime": asdict(trainer.regime),
        "weights_of_epochs": (rates / rates.sum()).tolist(),
        "lora_weights": trainer.initial.numel(),
        "dimensions": DIMENSIONS,
        "token_passes": passes,
        "fte": None if fte_of_pass is None else passes * fte_of_pass,
        "seconds": float(took[0]),
        "processor_seconds": float(took[1]),
        "threads": threads_used(),
    }
    table = pd.DataFrame({"id": [record.id for record in pool], "score": scores(by_epoch, rates)})
    write_table(folder / "scores.parquet", table)
    write_json(folder / "less.json", about)
    kept.forget()


def _asked(params: Params, trainer: CoalitionTrainer, records: Mapping[str, Sequence[Record]]) -> dict[str, Any]:
    """All that an epoch's influences depend on."""
    return {
        "model": read_json("data/model.json"),
        "code": code_digest(*CODE),
        "threads": threads_used(),
        "versions": {name: version(name) for name in ("torch", "transformers", "peft")},
        "reads": [params.model.prompt, params.model.max_tokens, trainer.dtype],
        "regime": asdict(trainer.regime),
        "dimensions": DIMENSIONS,
        "records": {name: [[one.id, one.source] for one in own] for name, own in records.items()},
    }


def _trainer(params: Params, warm: list[Record], pool: list[Record], dev: list[Record]) -> CoalitionTrainer:
    """It tunes on the rows of the warm-up; its candidates are the pool and dev, whose end token does not count."""
    if not dev:
        raise ShedError("there are no dev records to select by; set data.dev_rows and rate.dev_rows to at least 1")
    loaded = load_language_model(model_spec(params))
    encoder = loaded.encoder
    regime = replace(target_regime(params, params.rate.seed), epochs=EPOCHS)
    return CoalitionTrainer(
        loaded.model,
        encoder.encode_all(warm, end=True),
        dev_set("dev_loss", dev, encoder),
        regime,
        [*encoder.encode_all(pool, end=True), *encoder.encode_all(dev, end=False)],
    )


def _token_passes(trainer: CoalitionTrainer) -> int:
    """Forward and backward passes of tokens, as ratings count theirs: of the warm-up, and of pool and dev after each epoch."""
    return int(2 * trainer.regime.epochs * (trainer.lengths.sum() + trainer.candidate_lengths.sum()))


def _fte_of_pass() -> float | None:
    """What a token's pass is in fine-tune equivalents of the last run's game; None if it made no ratings, which tell."""
    per_ratings: float | None = read_json("metrics/score.json").get("ratings_fte")
    return None if per_ratings is None else per_ratings / float(read_json("metrics/rate.json")["token_passes"])


@contextmanager
def _bar(records: int) -> Iterator[Callable[[int], None]]:
    """Progress with time left; what is given is told how many more records are done."""
    bar = iter(track(range(records), "LESS", "record"))

    def advance(done: int) -> None:
        deque(itertools.islice(bar, done), maxlen=0)

    yield advance
    deque(bar, maxlen=0)  # ends its line


def _clock() -> np.ndarray:
    """Seconds that have passed, and those of the processor."""
    return np.array([time.perf_counter(), time.process_time()])


if __name__ == "__main__":
    command(main)
