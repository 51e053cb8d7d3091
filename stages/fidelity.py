"""Fidelity: what the scores predict for unseen half coalitions, against what is measured."""

import pandas as pd

from shed.fidelity import audit
from shed.files import write_json, write_table
from shed.params import Params
from stages import main
from stages.proxy_game import scoring_game


def run(params: Params) -> None:
    scores = pd.read_parquet("data/scores.parquet").sort_values("cluster")
    with scoring_game(params, pd.read_parquet("data/clusters.parquet")) as game:
        found = audit(
            game.play,
            scores["score"].to_numpy(),
            scores["stderr"].to_numpy(),
            params.fidelity.coalitions,
            params.fidelity.seed,
        )
    write_table("metrics/plots/fidelity.csv", found.points)
    write_json("metrics/fidelity.json", found.metrics)


if __name__ == "__main__":
    main(run)
