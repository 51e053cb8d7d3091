"""What bergson needs to score this pool: the very tokens that are tuned on, and a config.

In: the prepared pool and dev, and `params.yaml`, after `dvc repro`. Out: in the folder that
`python -m experiments.bergson_inputs FOLDER` names, `pool.jsonl` and `dev.jsonl` with `input_ids` and `labels`, which bergson
takes as they are, and `run.yaml`. `bergson FOLDER/run.yaml` then writes `FOLDER/scores/scores.bin`, which `sample.given` takes.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from shed.common.atomic_io import write_jsonl, write_text
from shed.data.records import Record, read_records
from shed.models.encoding import Encoder
from shed.models.loading import load_language_model, locate
from shed.params import load_params
from stages import command
from stages.shared.settings.model import model_spec

PROJECTION = 16  # bergson's own for its pipelines: each gradient of a layer becomes 16 by 16 numbers
LEAST_BATCH = 2048  # tokens, bergson's own
UNCOUNTED = -100  # the label of a token whose loss does not count


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.bergson_inputs",
        description="Write the pool and dev as tokens, and a config by which bergson scores the pool.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where the files are written, and later bergson's")
    folder: Path = parser.parse_args().folder
    params = load_params()
    spec = model_spec(params)
    encoder = load_language_model(spec).encoder
    dev = read_records("data/prepared/dev.jsonl")[: params.rate.dev_rows]
    write_jsonl(folder / "pool.jsonl", tokens(read_records("data/prepared/pool.jsonl"), encoder, end=True))
    write_jsonl(folder / "dev.jsonl", tokens(dev, encoder, end=False))
    config = config_of(folder, locate(spec.where), spec.revision, encoder)
    write_text(folder / "run.yaml", yaml.safe_dump(config, sort_keys=False))
    print(f"shed: wrote {folder}/pool.jsonl, dev.jsonl and run.yaml; now `bergson {folder}/run.yaml`", file=sys.stderr)


def tokens(records: Sequence[Record], encoder: Encoder, *, end: bool) -> Iterator[dict[str, list[int]]]:
    """Each record's tokens, with the label of each whose loss counts.

    Args:
        end: the token that ends a response counts, as in tuning; utilities leave it out.
    """
    for one in encoder.encode_all(records, end=end):
        counted = set(one.places)
        labels = [token if place in counted else UNCOUNTED for place, token in enumerate(one.tokens)]
        yield {"input_ids": list(one.tokens), "labels": labels}


def config_of(folder: Path, model: str, revision: str | None, encoder: Encoder) -> dict[str, Any]:
    """bergson's config: the mean gradient of dev, then the cosine of each pool record's gradient with it."""
    batch = min(encoder.positions, max(LEAST_BATCH, encoder.limit))

    def index(out: str, data: str) -> dict[str, Any]:
        return {
            "run_path": str(folder / out),
            "overwrite": True,
            "model": model,
            "revision": revision,
            "projection_dim": PROJECTION,
            "token_batch_size": batch,
            "data": {"dataset": str(folder / data)},
        }

    query = {"index_cfg": index("query", "dev.jsonl"), "preprocess_cfg": {"unit_normalize": True, "aggregation": "mean"}}
    score = {
        "score_cfg": {"query_path": str(folder / "query")},
        "index_cfg": index("scores", "pool.jsonl"),
        "preprocess_cfg": {"unit_normalize": True},
    }
    return {"run_path": str(folder), "steps": [{"reduce": query}, {"score": score}]}


if __name__ == "__main__":
    command(main)
