"""What scores cost as C grows: FTE, seconds and LDS of one pair of metagradient runs, from 16 clusters to 3,000.

In: the default pool and its embeddings, dev and test. Out: cost_against_clusters.json.
`dvc --cd experiments/valuation repro cost_against_clusters` runs it, in nine minutes the first time.

Each cluster has one proxy. Up to 256 clusters the packaged model is tuned on the default pool's records by SGD for one
epoch. A random model of two narrow layers, with the packaged tokenizer, continues to 3,000, in eight batches whatever C is,
on records of the pool, of dev and of test, since the pool alone has too few (they have no other use here). The paper's
protocol, k = 10 orders of removal in 50 groups, takes 500 evaluations whatever C is.
"""

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from experiments.shared.games import LEDGER, pool_game, scoring_regime
from shed.common.atomic_io import write_json
from shed.common.import_closure import code_digest
from shed.data.records import read_records
from shed.engine.coalition_trainer import CoalitionTrainer
from shed.engine.regime import Regime
from shed.engine.utility import dev_set
from shed.models.loading import load_language_model, load_tokenizer
from shed.models.specs import ModelSpec
from shed.params import load_params
from shed.valuation.budget import Budget, spend
from shed.valuation.estimators.metagradient import Metagradient
from shed.valuation.fidelity import half_coalitions, lds, mean_over_draws, measure
from shed.valuation.ledger import Ledger, LedgeredGame
from shed.valuation.proxy_game import CODE
from shed.valuation.tuning_game import TuningGame

RESULT = "experiments/valuation/cost_against_clusters.json"
PACKAGED_C, TINY_C = (16, 64, 256), (16, 64, 256, 1000, 3000)
DEV_ROWS, LIMIT = 48, 512
COALITIONS = {"packaged": 10, "tiny": 20}


def main() -> None:
    rows = []
    for C in PACKAGED_C:
        with pool_game(C, 1, DEV_ROWS, scoring_regime(optimizer="sgd", lr=0.02, epochs=1)) as game:
            rows.append({"model": load_params().model.name} | point(game.play, COALITIONS["packaged"]))
        write_json(RESULT, {"points": rows})
    with tempfile.TemporaryDirectory() as folder:
        tiny = make_tiny_model(Path(folder))
        for C in TINY_C:
            regime = scoring_regime(depth=None, optimizer="sgd", lr=0.2, epochs=1, batch_size=C // 8)
            known = {"study": "cost_against_clusters", "C": C, "code": code_digest(CODE), **asdict(regime)}
            with Ledger(LEDGER).play(tiny_game(tiny, C, regime), known) as play:
                rows.append({"model": "random, two layers of 64"} | point(play, COALITIONS["tiny"]))
    result = {"runs": 2, "coalitions_of_the_audit": COALITIONS, "points": rows}
    write_json(RESULT, result)
    print(json.dumps(result, indent=2))


def point(game: LedgeredGame, coalitions: int) -> dict[str, Any]:
    """Cost and fidelity of one pair of runs."""
    outcome = spend(Metagradient(seed=1, check=False), game, Budget(evaluations=4))
    halves = half_coalitions(game.players, coalitions, seed=2)
    measured = mean_over_draws(halves, [measure(game, halves, "scoring")], "scoring")
    return {
        "C": game.players,
        "fte": outcome.cost.fte,
        "seconds": outcome.cost.seconds,
        "v_none": outcome.estimate.v_none,
        "v_all": outcome.estimate.v_all,
        **lds(measured, outcome.estimate.scores, seed=2),
    }


def make_tiny_model(folder: Path) -> str:
    """A random Llama of two layers of width 64 with the packaged model's tokenizer, saved in a folder."""
    tokenizer = load_tokenizer("packaged/smollm2-135m-instruct")
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=LIMIT,
        initializer_range=0.1,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return str(folder)


def tiny_game(model: str, C: int, regime: Regime) -> TuningGame:
    """C players of one record each."""
    splits = [read_records(f"data/prepared/{split}.jsonl") for split in ("pool", "test", "dev")]
    dev, records = splits[2][:DEV_ROWS], [*splits[0], *splits[1], *splits[2][DEV_ROWS:]]
    loaded = load_language_model(ModelSpec(model, "plain", LIMIT))
    encoded = [one for one in loaded.encoder.encode_all(records, end=True) if len(one.tokens) < LIMIT]
    chosen = np.random.default_rng(C).permutation(len(encoded))[:C]
    measured = dev_set("dev_loss", dev, loaded.encoder)
    trainer = CoalitionTrainer(loaded.model, [encoded[i] for i in chosen], measured, regime)
    return TuningGame(trainer, np.arange(C).tolist(), [f"{C}-{i}" for i in chosen])


if __name__ == "__main__":
    main()
