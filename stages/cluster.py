"""Cluster: group the pool by its embeddings and mark the proxies."""

import pandas as pd

from shed.common.atomic_io import read_array, write_json, write_table
from shed.data.records import read_records
from shed.params import Params
from shed.selection.clustering import cluster, quality
from stages import main


def run(params: Params) -> None:
    pool = read_records("data/prepared/pool.jsonl")
    embeddings = read_array("data/embeddings.npy")
    settings = params.cluster
    found = cluster(embeddings, params.C, settings.method, settings.proxies_per_cluster, settings.seed)
    columns = {"id": [record.id for record in pool], "source": [record.source for record in pool]}
    table = pd.DataFrame(columns | {"cluster": found.labels, "distance": found.distances, "proxy": found.proxies})
    write_table("data/clusters.parquet", table)
    write_json("metrics/cluster.json", quality(embeddings, found, settings.seed))


if __name__ == "__main__":
    main(run)
