"""Peak memory of one metagradient run through 300 steps of the packaged model at full depth.

In: the pool, its clusters and dev, after `make repro`. Out: benchmarks/long_tuning.json. Run it by
`python -m benchmarks.long_tuning`; it takes about ten minutes.

The 30 shortest proxies are tuned on one at a time, for ten epochs. The states of 300 steps would take more than the 1 GiB
that is kept, so the run is cut into segments, which are tuned again on the way back.
"""

import json
import resource
import time

import numpy as np
import pandas as pd

from experiments.shared.games import scoring_regime
from shed.common.atomic_io import write_json
from shed.data.records import read_records
from shed.engine.coalition_trainer import CoalitionTrainer
from shed.engine.gradients import KEPT_BYTES, metagradient
from shed.engine.utility import dev_set
from shed.models.loading import load_language_model
from shed.params import load_params
from stages.shared.settings.model import model_spec

RECORDS, EPOCHS, DEV_ROWS = 30, 10, 16
LR = 0.0001  # a tenth of the default's, with which so many steps of one record each go too far


def main() -> None:
    clusters = pd.read_parquet("data/clusters.parquet")
    pool, dev = read_records("data/prepared/pool.jsonl"), read_records("data/prepared/dev.jsonl")[:DEV_ROWS]
    loaded = load_language_model(model_spec(load_params()))
    proxies = [record for record, chosen in zip(pool, clusters["proxy"], strict=True) if chosen]
    encoded = loaded.encoder.encode_all(proxies, end=True)
    members = sorted(encoded, key=lambda one: len(one.tokens))[:RECORDS]
    regime = scoring_regime(lr=LR, batch_size=1, epochs=EPOCHS)
    trainer = CoalitionTrainer(loaded.model, members, dev_set("dev_loss", dev, loaded.encoder), regime)
    began = time.perf_counter()
    (utility,), marginals = metagradient(trainer, np.ones((1, RECORDS)))
    result = {
        "lr": LR,
        "steps": len(trainer.batches),
        "lora_weights": len(trainer.initial),
        "bytes_of_all_states": 4 * 4 * len(trainer.initial) * len(trainer.batches),
        "bytes_kept_at_most": KEPT_BYTES,
        "seconds": time.perf_counter() - began,
        "utility": float(utility),
        "marginals_finite": bool(np.isfinite(marginals).all()),
        "peak_bytes_of_the_process": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    }
    write_json("benchmarks/long_tuning.json", result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
