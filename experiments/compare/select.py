"""Select: the rows of every run, in a file of its own, so that a run is repeated only when its own rows change.

In: clusters, lengths, ratings, scores and signals. Out: a folder with a table of `id` and `seed` for each run.
"""

import pandas as pd

from experiments.compare.settings import load_settings, runs
from experiments.shared.by_ratings import F, scores_by_ratings
from shed.common.atomic_io import replacing, write_table
from shed.params import Params
from shed.selection.contenders import contend
from shed.selection.sampling import budget
from stages import main


def run(params: Params) -> None:
    clusters, lengths = pd.read_parquet("data/clusters.parquet"), pd.read_parquet("data/lengths.parquet")
    for own in (pd.read_parquet("data/ratings.parquet"), lengths[["id", "response_tokens"]]):
        clusters = clusters.merge(own, on="id", how="left", validate="one_to_one")
    scores = scores_by_ratings(clusters, pd.read_parquet("data/scores.parquet"))
    of_all_tasks = pd.read_parquet("experiments/compare/ratings_of_all_tasks.parquet").set_index("id")["rating"]
    signals = pd.read_parquet("experiments/compare/signals.parquet")
    with replacing("experiments/compare/selections") as folder:
        folder.mkdir()
        for one in runs(load_settings()):
            rows = budget(len(clusters), one.fraction, None).amount
            ids = contend(
                one.method,
                clusters,
                scores,
                of_all_tasks.reindex(clusters["id"]),
                signals,
                rows,
                F,
                one.seed,
                params.sample.floor,
            )
            write_table(folder / f"{one.name}.parquet", pd.DataFrame({"id": ids, "seed": one.seed}))


if __name__ == "__main__":
    main(run)
