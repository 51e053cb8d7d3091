"""Embed: a unit vector for each pool record."""

from shed.common.atomic_io import write_array
from shed.data.records import read_records
from shed.models.embedding import embed
from shed.params import Params
from stages import main


def run(params: Params) -> None:
    pool = read_records("data/prepared/pool.jsonl")
    write_array("data/embeddings.npy", embed(pool, params.embed.model, params.embed.batch_size))


if __name__ == "__main__":
    main(run)
