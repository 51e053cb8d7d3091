"""Peak memory of rating a pool of 2,000 rows and one of 20,000, each of about 300 tokens, by a tiny random model.

In: nothing. Out: benchmarks/rating_memory.json. Run it by `python -m benchmarks.rating_memory`; it takes some minutes.

The model is so small that what is seen is what the ratings keep of the pool: a real model adds its weights and a block's
activations, which do not depend on the number of rows. Each pool is rated in a process of its own, from a file, as the stage
`rate` does it.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.tiny_model import tiny_model
from shed.common.atomic_io import write_json, write_jsonl
from shed.common.memory import resident
from shed.data.records import RecordFile, single_turn
from shed.engine.regime import Regime
from shed.models.specs import LoraSettings, ModelSpec
from shed.valuation.rated_blocks import RatedBlocks
from shed.valuation.ratings import rate

ROOT = Path(__file__).parents[1]
POOLS, DEV_ROWS, WARM_ROWS, WORDS = (2_000, 20_000), 20, 16, 45  # a word has 5 to 7 bytes, each a token
REGIME = Regime(
    lora=LoraSettings(r=2, alpha=4, modules=["q_proj"]),
    optimizer="frozen_adam",
    lr=1e-3,
    momentum=0.9,
    batch_size=8,
    epochs=1,
    schedule="linear",
    warmup=0.1,
    seed=1,
)


def main() -> None:
    if len(sys.argv) > 1:
        measure(Path(sys.argv[1]), int(sys.argv[2]))
        return
    found = {}
    for rows in POOLS:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "benchmarks.rating_memory", folder, str(rows)]
            environment = {**os.environ, "TQDM_DISABLE": "1"}
            process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
            said, _ = process.communicate()
            if process.returncode:
                sys.exit(f"the rating ended with status {process.returncode}")
            found[str(rows)] = json.loads(said.splitlines()[-1])
    small, large = (found[str(rows)]["peak_gigabytes"] for rows in POOLS)
    result = {"pools": found, "ratio": large / small}
    write_json("benchmarks/rating_memory.json", result)
    print(json.dumps(result, indent=2))


def measure(folder: Path, rows: int) -> None:
    """Rate so many rows and print what it took."""
    rng = random.Random(1)

    def row(n: int) -> dict[str, object]:
        words = ["".join(rng.choices("etaoinshrdlu", k=rng.randint(4, 6))) for _ in range(WORDS)]
        return single_turn(f"{n} {' '.join(words[:20])}", " ".join(words[20:]), "made", f"row {n}").to_row()

    write_jsonl(folder / "pool.jsonl", map(row, range(rows)))
    write_jsonl(folder / "dev.jsonl", map(row, range(DEV_ROWS)))
    model = ModelSpec(tiny_model(folder / "model", layers=2, positions=512), "plain", 512)
    began = time.process_time()
    pool, dev = RecordFile(folder / "pool.jsonl"), list(RecordFile(folder / "dev.jsonl"))
    loaded = resident()
    rated = rate(pool, dev, model, "dev_loss", REGIME, WARM_ROWS, RatedBlocks(folder / "kept", {}))
    passes = int(rated.metrics["token_passes"])
    usage = {"processor_seconds": time.process_time() - began, "tokens_mean": passes / (2 * rows)}
    print(json.dumps({**usage, "before_gigabytes": loaded / 1e9, "peak_gigabytes": peak() / 1e9}))


def peak() -> int:
    """Bytes of this process at its most."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    main()
