"""Embed: a unit vector for each pool record."""

from shed.common.atomic_io import write_array, write_json
from shed.data.records import read_records
from shed.models.embedding import embed
from shed.params import Params
from stages import main
from stages.shared.embedder import embedder_spec


def run(params: Params) -> None:
    embedded = embed(read_records("data/prepared/pool.jsonl"), embedder_spec(params))
    write_array("data/embeddings.npy", embedded.vectors)
    write_json("metrics/embed.json", embedded.counts)


if __name__ == "__main__":
    main(run)
