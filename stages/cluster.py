"""Cluster: group the pool by its embeddings and mark the proxies."""

import pandas as pd

from shed.common.arrays import map_array
from shed.common.atomic_io import write_json, write_table
from shed.data.records import iterate_records
from shed.params import Params
from shed.selection.clustering import cluster, quality
from stages import main


def run(params: Params) -> None:
    embeddings = map_array("data/embeddings.npy")
    settings = params.cluster
    found = cluster(embeddings, params.C, settings.method, settings.proxies_per_cluster, settings.seed)
    names = [(record.id, record.source) for record in iterate_records("data/prepared/pool.jsonl")]
    columns = {"id": [id for id, _ in names], "source": [source for _, source in names]}
    table = pd.DataFrame(columns | {"cluster": found.labels, "distance": found.distances, "proxy": found.proxies})
    write_table("data/clusters.parquet", table)
    write_json("metrics/cluster.json", quality(embeddings, found, settings.seed))


if __name__ == "__main__":
    main(run)
