"""Embed: a unit vector for each pool record."""

import os
from pathlib import Path

from shed.common.atomic_io import read_json, write_json
from shed.data.records import RecordFile
from shed.embedding.blocks import embed_to
from shed.params import Params
from stages import main
from stages.shared.settings.embedder import embedder_spec
from stages.shared.settings.engine import engine_of

KEPT = Path(os.environ.get("DVC_ROOT", ".")) / ".shed" / "embeddings"  # DVC_ROOT: shared by experiments in copies


def run(params: Params) -> None:
    pool = RecordFile("data/prepared/pool.jsonl")
    counts = embed_to(
        "data/embeddings.npy", pool, embedder_spec(params), read_json("data/embedder.json"), KEPT, engine_of(params)
    )
    write_json("metrics/embed.json", counts)


if __name__ == "__main__":
    main(run)
